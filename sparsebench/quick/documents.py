"""The text that the backbones of the quick suite are pretrained on.

Documents of one or two sentences: plain clauses, sentences said again in other words, stories that
name their subject again by its kind, exclamations, and facts about words and numbers. No document
carries a task's label.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sparsebench.quick import lexicon
from sparsebench.quick.language import Clause, Shape, draw_clause
from sparsebench.quick.lexicon import Relation, related
from sparsebench.quick.rewording import reword
from sparsebench.quick.rng import Random
from sparsebench.quick.vocabulary import NUMBERS

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator

Document = tuple[str, ...]
"""The sentences of one document."""

_STATEMENT = Shape(copula=0, transitive=1, adjective=1, place=0, adverb=0, monotone=True)


def documents(seed: int, *, without: Collection[str] = ()) -> Iterator[Document]:
    """Draws documents without end.

    Args:
        seed: What decides the documents.
        without: Sentences that no document may contain.

    Yields:
        One document after the other, each a tuple of one or two sentences.
    """
    rng = Random(f"documents {seed}")
    barred = frozenset(without)
    while True:
        document = rng.weighted(_FORMS)(rng)
        if barred.isdisjoint(document):
            yield document


def draw_statement(rng: Random) -> Clause:
    """Draws a clause of six words: an adjective and a noun do something to a noun."""
    clause = draw_clause(rng, shape=_STATEMENT)
    if clause.object is None:
        return draw_statement(rng)
    return replace(clause, object=replace(clause.object, adjective=None))


def _plain(rng: Random) -> Document:
    return (draw_clause(rng).text(),)


def _restatement(rng: Random) -> Document:
    """A sentence and the same in other words."""
    first = draw_statement(rng)
    return (first.text(), reword(rng, first, probability=0.6).text())


def _story(rng: Random) -> Document:
    """Two sentences about one subject, which the second names by its kind."""
    first = draw_clause(rng)
    again = draw_clause(rng, subject=first.subject.noun)
    (kind,) = related(first.subject.noun, Relation.HYPERNYM)
    plural = first.subject.plural
    determiner = rng.pick(["the", "these" if plural else "this"])
    subject = replace(first.subject, determiner=determiner, noun=kind, adjective=None)
    return (first.text(), replace(again, subject=subject).text())


def _exclamation(rng: Random) -> Document:
    """A clause and a word on whether what it says is welcome."""
    clause = draw_clause(rng)
    welcome = clause.predicate.pole == clause.predicate.axis.partition("/")[0]
    return (clause.text(), "hurrah ." if welcome else "alas .")


def _fact(rng: Random) -> Document:
    """A fact about two words, stated or asked for."""
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
    """What a noun is, stated or asked for."""
    noun = rng.pick(lexicon.nouns())
    (kind,) = related(noun, Relation.HYPERNYM)
    if rng.chance(0.5):
        return (f"every {noun.singular} is a {kind.singular} .",)
    true = rng.chance(0.5)
    named = kind if true else rng.pick([other for other in lexicon.kinds() if other != kind])
    return (f"is every {noun.singular} a {named.singular} ?", "yes ." if true else "no .")


def _number(rng: Random) -> Document:
    """A comparison of two numbers, or some that follow each other."""
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
