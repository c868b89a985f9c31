"""Replaces the words of a clause by others that stand in a chosen relation to them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sparsebench.quick.lexicon import Part, Relation, Word, related

if TYPE_CHECKING:
    from sparsebench.quick.language import Clause
    from sparsebench.quick.rng import Random

SLOTS = ("adjective", "subject", "predicate", "object adjective", "object")
"""The places of a clause that hold a word with a meaning."""


def fillers(clause: Clause) -> dict[str, Word]:
    """Returns the word in each slot of a clause that is filled."""
    words = {
        "adjective": clause.subject.adjective,
        "subject": clause.subject.noun,
        "predicate": clause.predicate,
        "object adjective": clause.object.adjective if clause.object else None,
        "object": clause.object.noun if clause.object else None,
    }
    return {slot: word for slot, word in words.items() if word}


def put(clause: Clause, slot: str, word: Word) -> Clause:
    """Returns the clause with another word in one slot, which must be filled."""
    if slot == "predicate":
        return replace(clause, predicate=word)
    name = "object" if slot.startswith("object") else "subject"
    phrase = getattr(clause, name)
    part = "adjective" if slot.endswith("adjective") else "noun"
    return replace(clause, **{name: replace(phrase, **{part: word})})


def implied(word: Word) -> tuple[Word, ...]:
    """Returns the words that may replace a word and leave the sentence true."""
    return related(word, Relation.HYPERNYM if word.part is Part.NOUN else Relation.SYNONYM)


def reword(rng: Random, clause: Clause, *, probability: float) -> Clause:
    """Says a clause in other words.

    Args:
        rng: Where the draws come from.
        clause: A clause whose determiners are all monotone.
        probability: How likely each word is to be replaced.

    Returns:
        A clause that the first one implies.
    """
    for slot, word in fillers(clause).items():
        if rng.chance(probability) and implied(word):
            clause = put(clause, slot, rng.pick(implied(word)))
    return clause
