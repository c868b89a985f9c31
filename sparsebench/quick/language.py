"""The grammar of the toy language: clauses, how one is drawn, and which sentences are acceptable.

A clause is a subject with an intransitive verb, with a verb and an object, or with a copula and an
adjective. A noun agrees with its determiner and a verb with its subject, also across a place that
stands between the two ("the robins near the tower sing"). The adjective stands before its noun.
Sentences are written in lower case with a space before the full stop.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from sparsebench.quick import lexicon
from sparsebench.quick.lexicon import Part, Word

if TYPE_CHECKING:
    from sparsebench.quick.rng import Random


@dataclass(frozen=True)
class NounPhrase:
    """A determiner, perhaps an adjective, and a noun."""

    determiner: str
    noun: Word
    plural: bool = False
    adjective: Word | None = None

    def words(self) -> list[str]:
        """Returns the words in their order."""
        adjective = [self.adjective.singular] if self.adjective else []
        return [self.determiner, *adjective, self.noun.form(plural=self.plural)]


@dataclass(frozen=True)
class Clause:
    """The meaning and the form of one sentence.

    Attributes:
        subject: Who does it, or who is so.
        predicate: A verb, or the adjective after the copula.
        object: Whom the verb is done to; none for other clauses.
        place: A preposition and a place, right after the subject.
        adverb: The last word.
    """

    subject: NounPhrase
    predicate: Word
    object: NounPhrase | None = None
    place: tuple[str, str] | None = None
    adverb: str | None = None

    def words(self) -> list[str]:
        """Returns the words in their order, the full stop last."""
        plural = self.subject.plural
        place = [self.place[0], "the", self.place[1]] if self.place else []
        if self.predicate.part is Part.ADJECTIVE:
            core = ["are" if plural else "is", self.predicate.singular]
        else:
            core = [self.predicate.form(plural=plural)]
        object_ = self.object.words() if self.object else []
        adverb = [self.adverb] if self.adverb else []
        return [*self.subject.words(), *place, *core, *object_, *adverb, "."]

    def text(self) -> str:
        """Returns the sentence, its words and full stop separated by spaces."""
        return " ".join(self.words())


@dataclass(frozen=True)
class Shape:
    """How often the optional parts of a clause appear: probabilities in [0, 1].

    Attributes:
        copula: A copula and an adjective in place of a verb.
        transitive: A verb with an object, where there is a verb.
        adjective: An adjective in a noun phrase.
        place: A place after the subject.
        adverb: An adverb at the end.
        monotone: Only determiners that let a noun be replaced by its kind.
    """

    copula: float = 0.25
    transitive: float = 0.6
    adjective: float = 0.4
    place: float = 0.2
    adverb: float = 0.2
    monotone: bool = False


def draw_noun_phrase(rng: Random, noun: Word, *, shape: Shape) -> NounPhrase:
    """Draws number, determiner and perhaps an adjective for a noun."""
    plural = rng.chance(0.5)
    determiners = lexicon.PLURAL_DETERMINERS if plural else lexicon.SINGULAR_DETERMINERS
    if shape.monotone:
        determiners = [d for d in determiners if d not in lexicon.NON_MONOTONE_DETERMINERS]
    adjective = None
    if rng.chance(shape.adjective):
        adjective = rng.pick([word for word in lexicon.adjectives() if lexicon.fits(word, noun)])
    return NounPhrase(rng.pick(determiners), noun, plural=plural, adjective=adjective)


def draw_predicate(rng: Random, noun: Word, *, shape: Shape) -> Word:
    """Draws a verb or an adjective that goes with a noun as its subject."""
    if rng.chance(shape.copula):
        pool = lexicon.adjectives()
    else:
        transitive = rng.chance(shape.transitive)
        pool = tuple(verb for verb in lexicon.verbs() if bool(verb.object) == transitive)
    fitting = [word for word in pool if lexicon.fits(word, noun)]
    return rng.pick(fitting or [word for word in lexicon.verbs() if lexicon.fits(word, noun)])


def draw_clause(rng: Random, *, shape: Shape | None = None, subject: Word | None = None) -> Clause:
    """Draws one clause.

    Args:
        rng: Where the draws come from.
        shape: How often the optional parts appear.
        subject: The noun to speak of; any noun if none is given.

    Returns:
        A clause whose sentence is acceptable.
    """
    shape = shape or Shape()
    subject = subject or rng.pick(lexicon.nouns())
    predicate = draw_predicate(rng, subject, shape=shape)
    object_ = None
    if predicate.object:
        pool = [n for n in lexicon.nouns() if lexicon.fits(predicate, n, as_object=True)]
        object_ = draw_noun_phrase(rng, rng.pick(pool), shape=shape)
    place = None
    if rng.chance(shape.place):
        place = (rng.pick(lexicon.PREPOSITIONS), rng.pick(lexicon.PLACES))
    return Clause(
        draw_noun_phrase(rng, subject, shape=shape),
        predicate,
        object=object_,
        place=place,
        adverb=rng.pick(lexicon.ADVERBS) if rng.chance(shape.adverb) else None,
    )


@cache
def _tags() -> dict[str, str]:
    """One letter for the class of every form; capitals are plural, ``e`` and ``E`` copulas."""
    tags = {word.singular: "a" for word in lexicon.adjectives()}
    tags |= dict.fromkeys(lexicon.PLACES, "l") | dict.fromkeys(lexicon.PREPOSITIONS, "p")
    tags |= dict.fromkeys(lexicon.ADVERBS, "r")
    tags |= dict.fromkeys(lexicon.SINGULAR_DETERMINERS, "d")
    tags |= dict.fromkeys(lexicon.PLURAL_DETERMINERS, "D")
    for noun in (*lexicon.nouns(), *lexicon.kinds()):
        tags |= {noun.singular: "n", noun.plural: "N"}
    for verb in lexicon.verbs():
        lower, upper = ("t", "T") if verb.object else ("v", "V")
        tags |= {verb.singular: lower, verb.plural: upper}
    return tags | {"the": "b", "is": "e", "are": "E", ".": "."}


_OBJECT = "(?:[bd]a?n|[bD]a?N)"
_SENTENCE = re.compile(
    rf"(?:[bd]a?n(?:pbl)?(?:v|ea|t{_OBJECT})|[bD]a?N(?:pbl)?(?:V|Ea|T{_OBJECT}))r?\."
)


def acceptable(words: list[str]) -> bool:
    """Says whether words, the full stop last, make a sentence: agreement and word order only."""
    return _SENTENCE.fullmatch("".join(_tags().get(word, "?") for word in words)) is not None
