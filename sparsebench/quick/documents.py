"""The text that the backbones of the quick suite are pretrained on.

A document has one or two sentences: a plain clause, a sentence with its rewording, a story that
repeats its subject by its kind, an exclamation, or a fact about words or numbers. No document
contains a label of a task.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sparsebench.quick import lexicon
from sparsebench.quick.language import draw_clause, draw_statement, reword
from sparsebench.quick.lexicon import NUMBERS, Relation, related
from sparsebench.quick.rng import Random

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

Document = tuple[str, ...]
"""The sentences of one document."""


def documents(seed: int, *, without: Collection[str] = ()) -> Iterator[Document]:
    """Draw an endless stream of documents.

    Args:
        seed: The seed of all draws.
        without: Sentences that no document may contain.

    Yields:
        Documents of one or two sentences.
    """
    rng = Random(f"documents {seed}")
    barred = frozenset(without)
    while True:
        document = rng.weighted(_FORMS)(rng)
        if barred.isdisjoint(document):
            yield document


def _plain(rng: Random) -> Document:
    return (draw_clause(rng).text(),)


def _restatement(rng: Random) -> Document:
    """A sentence and its rewording."""
    first = draw_statement(rng)
    return (first.text(), reword(rng, first, probability=0.6).text())


def _story(rng: Random) -> Document:
    """Two sentences about one subject; the second names it by its kind."""
    first = draw_clause(rng)
    again = draw_clause(rng, subject=first.subject.noun)
    (kind,) = related(first.subject.noun, Relation.HYPERNYM)
    plural = first.subject.plural
    determiner = rng.pick(["the", "these" if plural else "this"])
    subject = replace(first.subject, determiner=determiner, noun=kind, adjective=None)
    return (first.text(), replace(again, subject=subject).text())


def _exclamation(rng: Random) -> Document:
    """A clause and a word that says whether its predicate is positive."""
    clause = draw_clause(rng)
    positive = clause.predicate.pole == clause.predicate.axis.partition("/")[0]
    return (clause.text(), "hurrah ." if positive else "alas .")


def _fact(rng: Random) -> Document:
    """A fact about two words, as a statement or as a question with its answer."""
    if rng.chance(0.5):
        return _membership(rng)
    word = rng.pick((*lexicon.adjectives(), *lexicon.verbs()))
    alike = rng.chance(0.5)
    other = rng.pick(related(word, Relation.SYNONYM if alike else Relation.ANTONYM))
    link = "like" if alike else "unlike"
    if rng.chance(0.5):
        return (f"{word.plural} is {link} {other.plural} .",)
    true = rng.chance(0.5)
    asked = link if true else {"like": "unlike", "unlike": "like"}[link]
    return (f"is {word.plural} {asked} {other.plural} ?", "yes ." if true else "no .")


def _membership(rng: Random) -> Document:
    """The kind of a noun, as a statement or as a question with its answer."""
    noun = rng.pick(lexicon.nouns())
    (kind,) = related(noun, Relation.HYPERNYM)
    if rng.chance(0.5):
        return (f"every {noun.singular} is a {kind.singular} .",)
    true = rng.chance(0.5)
    named = kind if true else rng.pick([other for other in lexicon.kinds() if other != kind])
    return (f"is every {noun.singular} a {named.singular} ?", "yes ." if true else "no .")


def _number(rng: Random) -> Document:
    """A comparison of two numbers, or four consecutive numbers."""
    place = rng.below(len(NUMBERS) - 3)
    if rng.chance(0.5):
        return (" , ".join(NUMBERS[place : place + 4]) + " .",)
    other = rng.pick([number for number in NUMBERS if number != NUMBERS[place]])
    more = float(NUMBERS[place]) > float(other)
    return (f"{NUMBERS[place]} is {'more' if more else 'less'} than {other} .",)


_FORMS: dict[Callable[[Random], Document], float] = {
    _plain: 0.15,
    _restatement: 0.5,
    _story: 0.1,
    _exclamation: 0.08,
    _fact: 0.12,
    _number: 0.05,
}
