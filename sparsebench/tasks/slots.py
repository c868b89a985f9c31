"""Meaning representations of the E2E challenge, ``name[Aromi], eatType[pub]``, and slot errors.

The slot error rate is that of Dušek et al. 2019 (arXiv:1911.03905): missing, wrong and added slots,
over the slots of the meaning representations. Slots are found by our own patterns, written from the
training set. The patterns do not know every way to express a slot, so that human texts do not score
0 either (see docs/questions-and-texts.md).
"""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

Slots = tuple[tuple[str, str], ...]
"""The attribute and the value of each slot, in their order."""

ATTRIBUTES = (
    "name",
    "eatType",
    "food",
    "priceRange",
    "customer rating",
    "area",
    "familyFriendly",
    "near",
)
"""The attributes of the challenge."""

_SLOT = re.compile(r"\s*([^\[\],]+?)\s*\[([^\[\]]*)\]\s*(?:,|$)")


_KID = r"(?:kids?|child(?:ren)?|famil(?:y|ies))"
_GOOD = r"(?:friendly|welcom\w*|orient\w*|suitable|appropriate)"
_NOT_FRIENDLY = (
    rf"(?:non|not|n't|isn't|unfriendly|no|adults?.only|adult)\b[^.;]{{0,40}}?\b{_KID}"
    rf"|\b{_KID}.{{0,3}}un(?:friendly|suitable)|\b{_KID}[^.;]{{0,25}}\b(?:not|n't|isn't|aren't)\b"
    r"|\badults?\b(?:.only|.orient\w*|.themed| establishment| pub| venue)|\bfor adults\b"
)
_FRIENDLY = rf"\b{_KID}\b|\b{_KID}.{_GOOD}"
_MORE = r"(?:more than|over|above|greater than|higher than|starts? at|starting at|upwards of)"
_LESS = r"(?:less than|under|below|cheaper than|lower than|up to)"

_PATTERNS: dict[str, dict[str, str]] = {
    "eatType": {
        "coffee shop": r"\bcoffee[- ]?shops?\b|\bcafe\b|\bcoffee (?:place|house|venue)",
        "pub": r"\bpubs?\b|\bbar\b",
        "restaurant": r"\brestaurants?\b|\bdiner\b|\bdining\b|\beatery\b|\bbistro\b",
    },
    "food": {
        "Chinese": r"\bchinese\b",
        "English": r"\b(?:english|british)\b|\bfish and chips\b",
        "Fast food": r"\bfast[- ]?foods?\b|\bburgers?\b(?! king)",
        "French": r"\bfrench\b",
        "Indian": r"\bindian\b|\bcurry\b",
        "Italian": r"\bitalian\b|\bpasta\b|\bspaghetti\b|\bpizza\b",
        "Japanese": r"\bjapanese\b|\bsushi\b",
    },
    "priceRange": {
        "more than £30": rf"{_MORE} (?:£ ?)?30|£ ?30 (?:or|and) (?:more|up|over|above)|£ ?30\+",
        "less than £20": rf"{_LESS} (?:£ ?)?20|£ ?20 (?:or|and) (?:less|under|below)",
        "£20-25": r"(?:£ ?)?20 ?(?:-|to|and) ?(?:£ ?)?25",
        "cheap": r"\bcheap(?:ly|er)?\b|\binexpensive\b|\blow[- ](?:price|cost|budget)\w*"
        r"|\bpriced? low\b|\blow in price\b|\bprices? (?:range )?(?:is|are) low\b|\baffordable\b",
        "moderate": r"\bmoderate(?:ly)?\b|\breasonabl[ey]\b|\baverage(?:ly)?[- ]pric\w*"
        r"|\bmid(?:dle)?[- ](?:price|range)\w*|\baverage cost\b",
        "high": r"\bexpensive\b|\bhigh(?:er|ly)?[- ]?(?:pric|cost|end)\w*|\bpricey\b|\bpricy\b"
        r"|\bhigh in price\b|\bprices? (?:range )?(?:is|are|that is) (?:very )?high\b"
        r"|\bprice range[^.,]{0,12} high\b|\bcostly\b",
    },
    "customer rating": {
        "1 out of 5": r"\b(?:1|one)[- ](?:out )?of[- ](?:5|five)\b|\b(?:1|one)[- ]stars?\b"
        r"|\b(?:1|one)/5\b",
        "3 out of 5": r"\b(?:3|three)[- ](?:out )?of[- ](?:5|five)\b|\b(?:3|three)[- ]stars?\b"
        r"|\b(?:3|three)/5\b",
        "5 out of 5": r"\b(?:5|five)[- ](?:out )?of[- ](?:5|five)\b|\b(?:5|five)[- ]stars?\b"
        r"|\b(?:5|five)/5\b",
        "low": r"\blow(?:er|ly)?[- ](?:customer |customers |overall )?(?:rat|review|scor)\w*"
        r"|\brat(?:ed|ing|ings)[^.;]{0,22}\b(?:low|poor|bad)(?:ly)?\b|\bpoor(?:ly)?\b[^.;]{0,20}"
        r"\b(?:rat|review)\w*|\bbad\b[^.;]{0,20}\b(?:rat|review)\w*",
        "average": r"\b(?:average|decent|ok(?:ay)?|mediocre)\b[^.;]{0,22}\b(?:rat|review|scor)\w*"
        r"|\b(?:rat|review|scor)\w*[^.;]{0,22}\baverage\b",
        "high": r"\bhigh(?:ly)?[- ](?:customer |customers |overall )?(?:rat|review|scor|recom)\w*"
        r"|\b(?:rat|review|scor)\w*[^.;]{0,22}\bhigh(?:ly)?\b|\b(?:great|good|excellent)\b[^.;]"
        r"{0,20}\b(?:rat|review)\w*|\bwell[- ](?:rated|reviewed)\b",
    },
    "area": {
        "city centre": r"\b(?:city|town)[- ]?cent(?:re|er)\b|\bcent(?:re|er) of (?:the )?"
        r"(?:city|town)\b|\b(?:down|mid)town\b|\bcity area\b|\bin the city\b"
        r"|\bin the cent(?:re|er)\b",
        "riverside": r"\briver[- ]?(?:side|bank|front)?\b",
    },
    "familyFriendly": {"no": _NOT_FRIENDLY, "yes": _FRIENDLY},
}
"""Attribute -> value -> the pattern that expresses it; of two that overlap, the first counts."""


def parse(mr: str) -> Slots:
    """Parse a meaning representation.

    Raises:
        ValueError: The text is none; the message quotes it from the first error on.
    """
    slots, place = [], 0
    while place < len(mr):
        found = _SLOT.match(mr, place)
        if found is None or found[1] not in ATTRIBUTES:
            raise ValueError(f"no slot of the form attribute[value] at {mr[place:].strip()[:40]!r}")
        slots.append((found[1], found[2].strip()))
        place = found.end()
    if not slots:
        raise ValueError("no slot in it")
    return tuple(slots)


def linearise(slots: Slots) -> str:
    """Write slots as ``name : Blue Spice | eatType : pub``, in their order, for a prompt.

    This is the format of Hu et al. 2021 (LoRA, arXiv:2106.09685), with the challenge's own names of
    the attributes and without blanks around currency signs.
    """
    return " | ".join(f"{attribute} : {value}" for attribute, value in slots)


def key_of(mr: str) -> str:
    """Return a key that is equal for meaning representations with the same slots in any order."""
    return ", ".join(sorted(f"{attribute}[{value}]" for attribute, value in parse(mr)))


def slot_errors(mr: str, text: str) -> Counter[str]:
    """Count the ``missing``, ``wrong`` and ``added`` slots of a text, and all ``slots``.

    Args:
        mr: The meaning representation.
        text: The text that should express it.
    """
    slots = dict(parse(mr))
    counts = Counter(slots=len(slots))
    rest = text
    for attribute in ("name", "near"):
        value = slots.get(attribute)
        if value and (found := _open_value(value).search(rest)):
            rest = rest[: found.start()] + " it " + rest[found.end() :]
            rest = _open_value(value).sub(" it ", rest)
        elif value:
            counts["missing"] += 1
    for attribute, patterns in _compiled().items():
        said = _expressed(rest, patterns)
        wanted = slots.get(attribute)
        if wanted in said:
            counts["added"] += len(said) - 1
        elif wanted is None:
            counts["added"] += len(said)
        else:
            counts["wrong" if said else "missing"] += 1
    return +counts


def slot_error_rates(mrs: Iterable[str], texts: Iterable[str]) -> dict[str, float]:
    """Return the slot error rate of texts, and the share of each kind of error."""
    total: Counter[str] = Counter()
    for mr, text in zip(mrs, texts, strict=True):
        total += slot_errors(mr, text)
    shares = {kind: total[kind] / total["slots"] for kind in ("missing", "wrong", "added")}
    return {
        "slot_error_rate": sum(shares.values()),
        **{f"slots_{kind}": share for kind, share in shares.items()},
    }


def _expressed(text: str, patterns: dict[str, re.Pattern[str]]) -> list[str]:
    """Return the values that a text expresses; each part of the text counts for one value."""
    said = []
    for value, pattern in patterns.items():
        if pattern.search(text):
            said.append(value)
            text = pattern.sub(" ", text)
    return said


@cache
def _compiled() -> dict[str, dict[str, re.Pattern[str]]]:
    return {
        attribute: {value: re.compile(p, re.IGNORECASE) for value, p in values.items()}
        for attribute, values in _PATTERNS.items()
    }


@cache
def _open_value(value: str) -> re.Pattern[str]:
    """Return the pattern of a proper name, with optional article and accents."""
    words = [re.escape(word) for word in value.replace("é", "e").split() if word != "The"]
    pattern = r"[- ]+".join(words).replace("Cafe", "Caf[eé]")
    return re.compile(rf"\b(?:the )?{pattern}\b", re.IGNORECASE)
