"""The text that the backbones of the quick suite are pretrained on.

Documents of one or two sentences: plain clauses, sentences said again in other words, stories that
name their subject again by its kind, exclamations, and facts about words and numbers. No document
carries a task's label.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from sparsebench.quick import lexicon
from sparsebench.quick.dice import Dice
from sparsebench.quick.language import Clause, Shape, draw_clause
from sparsebench.quick.lexicon import Relation, related
from sparsebench.quick.rewording import reword
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
    dice = Dice(f"documents {seed}")
    barred = frozenset(without)
    while True:
        document = dice.weighted(_FORMS)(dice)
        if barred.isdisjoint(document):
            yield document


def draw_statement(dice: Dice) -> Clause:
    """Draws a clause of six words: an adjective and a noun do something to a noun."""
    clause = draw_clause(dice, shape=_STATEMENT)
    if clause.object is None:
        return draw_statement(dice)
    return replace(clause, object=replace(clause.object, adjective=None))


def _plain(dice: Dice) -> Document:
    return (draw_clause(dice).text(),)


def _restatement(dice: Dice) -> Document:
    """A sentence and the same in other words."""
    first = draw_statement(dice)
    return (first.text(), reword(dice, first, probability=0.6).text())


def _story(dice: Dice) -> Document:
    """Two sentences about one subject, which the second names by its kind."""
    first = draw_clause(dice)
    again = draw_clause(dice, subject=first.subject.noun)
    (kind,) = related(first.subject.noun, Relation.HYPERNYM)
    plural = first.subject.plural
    determiner = dice.pick(["the", "these" if plural else "this"])
    subject = replace(first.subject, determiner=determiner, noun=kind, adjective=None)
    return (first.text(), replace(again, subject=subject).text())


def _exclamation(dice: Dice) -> Document:
    """A clause and a word on whether what it says is welcome."""
    clause = draw_clause(dice)
    welcome = clause.predicate.pole == clause.predicate.axis.partition("/")[0]
    return (clause.text(), "hurrah ." if welcome else "alas .")


def _fact(dice: Dice) -> Document:
    """A fact about two words, stated or asked for."""
    if dice.chance(0.5):
        return _membership(dice)
    word = dice.pick((*lexicon.adjectives(), *lexicon.verbs()))
    alike = dice.chance(0.5)
    other = dice.pick(related(word, Relation.SYNONYM if alike else Relation.ANTONYM))
    link = "like" if alike else "unlike"
    if dice.chance(0.5):
        return (f"{word.plural} is {link} {other.plural} .",)
    true = dice.chance(0.5)
    asked = link if true else {"like": "unlike", "unlike": "like"}[link]
    return (f"is {word.plural} {asked} {other.plural} ?", "yes ." if true else "no .")


def _membership(dice: Dice) -> Document:
    """What a noun is, stated or asked for."""
    noun = dice.pick(lexicon.nouns())
    (kind,) = related(noun, Relation.HYPERNYM)
    if dice.chance(0.5):
        return (f"every {noun.singular} is a {kind.singular} .",)
    true = dice.chance(0.5)
    named = kind if true else dice.pick([other for other in lexicon.kinds() if other != kind])
    return (f"is every {noun.singular} a {named.singular} ?", "yes ." if true else "no .")


def _number(dice: Dice) -> Document:
    """A comparison of two numbers, or some that follow each other."""
    place = dice.below(len(NUMBERS) - 3)
    if dice.chance(0.5):
        return (" , ".join(NUMBERS[place : place + 4]) + " .",)
    other = dice.pick([number for number in NUMBERS if number != NUMBERS[place]])
    more = float(NUMBERS[place]) > float(other)
    return (f"{NUMBERS[place]} is {'more' if more else 'less'} than {other} .",)


_FORMS: dict[Callable[[Dice], Document], float] = {
    _plain: 0.15,
    _restatement: 0.5,
    _story: 0.1,
    _exclamation: 0.08,
    _fact: 0.12,
    _number: 0.05,
}
