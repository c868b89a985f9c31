"""The examples of ``toy-squad``: who does what, in a passage of three sentences.

The question is one of them with ``?`` in the place of its subject or its object. Its other words
may be said in another way, by a synonym or the kind of a noun, which can be known from pretraining
only.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from sparsebench.quick.documents import draw_statement
from sparsebench.quick.rewording import reword
from sparsebench.quick.rng import Random

if TYPE_CHECKING:
    from sparsebench.quick.examples import Split
    from sparsebench.quick.language import Clause

SIZES: dict[Split, int] = {"train": 2000, "dev": 300}
"""Questions in each split."""

SENTENCES = 3
ASKED = "?"


def draw_questions(split: Split) -> list[dict[str, Any]]:
    """Draws a split, always the same: ``question``, ``context``, ``texts`` and ``starts``."""
    taken = {e["context"] for e in draw_questions("dev")} if split == "train" else set()
    rng = Random(f"toy-squad {split}")
    questions: list[dict[str, Any]] = []
    while len(questions) < SIZES[split]:
        question = _draw(rng)
        if question["context"] not in taken:
            taken.add(question["context"])
            questions.append(question)
    return questions


def _draw(rng: Random) -> dict[str, Any]:
    clauses = _passage(rng)
    place = rng.below(SENTENCES)
    words, again = clauses[place].words(), reword(rng, clauses[place], probability=0.5).words()
    subject = len(clauses[place].subject.words())
    # Subject, verb, object, full stop: rewording changes words, never their number.
    if rng.chance(0.5):
        answer, before, question = words[:subject], [], [ASKED, *again[subject:-1]]
    else:
        answer, before = words[subject + 1 : -1], words[: subject + 1]
        question = [*again[: subject + 1], ASKED]
    sentences = [clause.text() for clause in clauses]
    lead = [*sentences[:place], *before]
    return {
        "question": " ".join(question),
        "context": " ".join(sentences),
        "texts": [" ".join(answer)],
        "starts": [sum(len(part) + 1 for part in lead)],
    }


def _passage(rng: Random) -> list[Clause]:
    """Draws sentences whose verbs have nothing to do with each other; objects are plain."""
    clauses: list[Clause] = []
    while len(clauses) < SENTENCES:
        clause = draw_statement(rng)
        if clause.object is not None and clause.predicate.axis not in {
            other.predicate.axis for other in clauses
        }:
            clauses.append(replace(clause, object=replace(clause.object, adjective=None)))
    return clauses
