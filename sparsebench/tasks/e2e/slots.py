"""Slot errors: what a text says of a meaning representation, leaves out, gets wrong or makes up.

The share of slot errors is that of Dušek et al. 2019 (arXiv:1911.03905): missing, wrong and added
slots, over the slots of the meaning representations. Slots are found by patterns, which are our own
and were written by looking at the training set; they do not know every way to say a thing, so that
people do not score 0 either (see docs/questions-and-texts.md).
"""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from typing import TYPE_CHECKING

from sparsebench.tasks.e2e.meaning import parse

if TYPE_CHECKING:
    from collections.abc import Iterable

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
"""Attribute -> value -> how it is said; of two that overlap, the first one counts."""


def slot_errors(mr: str, text: str) -> Counter[str]:
    """Counts the ``missing``, ``wrong`` and ``added`` slots of a text, and all ``slots``."""
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
        said = _said(rest, patterns)
        wanted = slots.get(attribute)
        if wanted in said:
            counts["added"] += len(said) - 1
        elif wanted is None:
            counts["added"] += len(said)
        else:
            counts["wrong" if said else "missing"] += 1
    return +counts


def slot_error_rates(mrs: Iterable[str], texts: Iterable[str]) -> dict[str, float]:
    """Returns the share of slot errors of texts, and of each kind of error."""
    total: Counter[str] = Counter()
    for mr, text in zip(mrs, texts, strict=True):
        total += slot_errors(mr, text)
    shares = {kind: total[kind] / total["slots"] for kind in ("missing", "wrong", "added")}
    return {
        "slot_error_rate": sum(shares.values()),
        **{f"slots_{kind}": share for kind, share in shares.items()},
    }


def _said(text: str, patterns: dict[str, re.Pattern[str]]) -> list[str]:
    """Returns the values that a text says; what said one cannot say another."""
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
    """Returns the pattern of a proper name; its article and accents may be left out."""
    words = [re.escape(word) for word in value.replace("é", "e").split() if word != "The"]
    pattern = r"[- ]+".join(words).replace("Cafe", "Caf[eé]")
    return re.compile(rf"\b(?:the )?{pattern}\b", re.IGNORECASE)
