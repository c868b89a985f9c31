"""The examples of ``toy-e2e``: a meaning, slot by slot, and sentences that say it.

A meaning is ``many , happy , robin , like , a , kite``: number, adjective and noun of the subject,
the verb, number and noun of the object, each in its plain form. A sentence has to put them into
words that agree: ``the happy robins like the kite .`` The other references say the same by synonyms
and by the kinds of the nouns.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sparsebench.quick import lexicon
from sparsebench.quick.documents import draw_statement
from sparsebench.quick.lexicon import Part, Word
from sparsebench.quick.rewording import implied, reword
from sparsebench.quick.rng import Random

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sparsebench.quick.examples import Split
    from sparsebench.quick.language import Clause

SIZES: dict[Split, int] = {"train": 2000, "dev": 300}
"""Meanings in each split."""

REFERENCES = 3
"""References of a meaning, fewer where some are the same; the first has the words it is given."""

_SEPARATOR = " , "
_NUMBERS = ("a", "many")


def draw_meanings(split: Split) -> list[dict[str, Any]]:
    """Draws a split, always the same: ``mr`` and ``references``; no meaning is in both splits."""
    taken = {e["mr"] for e in draw_meanings("dev")} if split == "train" else set()
    rng = Random(f"toy-e2e {split}")
    meanings: list[dict[str, Any]] = []
    while len(meanings) < SIZES[split]:
        clause = _plain(draw_statement(rng))
        mr = _SEPARATOR.join(_slots(clause))
        if mr not in taken:
            taken.add(mr)
            again = [reword(rng, clause, probability=0.5) for _ in range(REFERENCES - 1)]
            texts = [form.text() for form in (clause, *again)]
            meanings.append({"mr": mr, "references": list(dict.fromkeys(texts))})
    return meanings


def missing_slots(mrs: Iterable[str], texts: Iterable[str]) -> float:
    """Returns the share of words of the meanings that texts do not say, in these or other words."""
    missing = total = 0
    forms = _forms()
    for mr, text in zip(mrs, texts, strict=True):
        said = set(text.split())
        for slot in mr.split(_SEPARATOR):
            if slot not in _NUMBERS:
                total += 1
                missing += forms[slot].isdisjoint(said)
    return missing / total


def _plain(clause: Clause) -> Clause:
    """Gives both noun phrases the plainest determiner."""
    object_ = replace(clause.object, determiner="the") if clause.object else None
    return replace(clause, subject=replace(clause.subject, determiner="the"), object=object_)


def _slots(clause: Clause) -> list[str]:
    phrases = [clause.subject, *([clause.object] if clause.object else [])]
    adjective = [clause.subject.adjective.singular] if clause.subject.adjective else []
    numbers = [_NUMBERS[phrase.plural] for phrase in phrases]
    subject = [numbers[0], *adjective, phrases[0].noun.singular]
    return [*subject, clause.predicate.plural, numbers[1], phrases[1].noun.singular]


def _forms() -> dict[str, set[str]]:
    """Returns for each plain form all forms of it and of the words that may stand for it."""

    def all_forms(word: Word) -> set[str]:
        words = (word, *implied(word))
        return {form for each in words for form in (each.singular, each.plural)}

    everything = (*lexicon.nouns(), *lexicon.adjectives(), *lexicon.verbs())
    return {
        (word.plural if word.part is Part.VERB else word.singular): all_forms(word)
        for word in everything
    }
