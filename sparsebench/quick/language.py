"""The grammar of the toy language: drawing, rewording and judging clauses.

A clause is a subject with an intransitive verb, with a verb and an object, or with a copula and an
adjective. A noun agrees with its determiner and a verb with its subject, also across a place
between the two ("the robins near the tower sing"). The adjective comes before its noun. Sentences
are written in lower case with a space before the full stop.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING

from sparsebench.quick import lexicon
from sparsebench.quick.lexicon import Part, Relation, Word, related

if TYPE_CHECKING:
    from sparsebench.quick.rng import Random


@dataclass(frozen=True)
class NounPhrase:
    """A determiner, an optional adjective, and a noun."""

    determiner: str
    noun: Word
    plural: bool = False
    adjective: Word | None = None

    def words(self) -> list[str]:
        """Return the words in order."""
        adjective = [self.adjective.singular] if self.adjective else []
        return [self.determiner, *adjective, self.noun.form(plural=self.plural)]


@dataclass(frozen=True)
class Clause:
    """The meaning and the form of one sentence.

    Attributes:
        subject: The subject.
        predicate: A verb, or the adjective after the copula.
        object: The object of a transitive verb, else None.
        place: A preposition and a place, directly after the subject.
        adverb: The last word.
    """

    subject: NounPhrase
    predicate: Word
    object: NounPhrase | None = None
    place: tuple[str, str] | None = None
    adverb: str | None = None

    def words(self) -> list[str]:
        """Return the words in order, the full stop last."""
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
        """Return the sentence, its words and full stop separated by spaces."""
        return " ".join(self.words())


@dataclass(frozen=True)
class ClauseShape:
    """The probabilities of the optional parts of a clause, each in [0, 1].

    Attributes:
        copula: A copula and an adjective instead of a verb.
        transitive: A verb with an object, if there is a verb.
        adjective: An adjective in a noun phrase.
        place: A place after the subject.
        adverb: An adverb at the end.
        monotone: Whether to use only determiners after which a noun can be replaced by its kind.
    """

    copula: float = 0.25
    transitive: float = 0.6
    adjective: float = 0.4
    place: float = 0.2
    adverb: float = 0.2
    monotone: bool = False


_STATEMENT = ClauseShape(copula=0, transitive=1, adjective=1, place=0, adverb=0, monotone=True)

SLOTS = ("adjective", "subject", "predicate", "object adjective", "object")
"""The positions of a clause that hold a word with a meaning."""


def draw_noun_phrase(rng: Random, noun: Word, *, shape: ClauseShape) -> NounPhrase:
    """Draw the number, the determiner and an optional adjective for a noun."""
    plural = rng.chance(0.5)
    determiners = lexicon.PLURAL_DETERMINERS if plural else lexicon.SINGULAR_DETERMINERS
    if shape.monotone:
        determiners = [d for d in determiners if d not in lexicon.NON_MONOTONE_DETERMINERS]
    adjective = None
    if rng.chance(shape.adjective):
        adjective = rng.pick([word for word in lexicon.adjectives() if lexicon.fits(word, noun)])
    return NounPhrase(rng.pick(determiners), noun, plural=plural, adjective=adjective)


def draw_predicate(rng: Random, noun: Word, *, shape: ClauseShape) -> Word:
    """Draw a verb or an adjective that fits a noun as its subject."""
    if rng.chance(shape.copula):
        pool = lexicon.adjectives()
    else:
        transitive = rng.chance(shape.transitive)
        pool = tuple(verb for verb in lexicon.verbs() if bool(verb.object) == transitive)
    fitting = [word for word in pool if lexicon.fits(word, noun)]
    return rng.pick(fitting or [word for word in lexicon.verbs() if lexicon.fits(word, noun)])


def draw_clause(
    rng: Random, *, shape: ClauseShape | None = None, subject: Word | None = None
) -> Clause:
    """Draw one clause whose sentence is acceptable.

    Args:
        rng: The source of random draws.
        shape: The probabilities of the optional parts.
        subject: The noun of the subject; drawn if not given.
    """
    shape = shape or ClauseShape()
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


def draw_statement(rng: Random) -> Clause:
    """Draw a clause of the form determiner, adjective, noun, verb, determiner, noun."""
    clause = draw_clause(rng, shape=_STATEMENT)
    if clause.object is None:
        return draw_statement(rng)
    return replace(clause, object=replace(clause.object, adjective=None))


def fillers(clause: Clause) -> dict[str, Word]:
    """Return the word of each filled slot of a clause."""
    words = {
        "adjective": clause.subject.adjective,
        "subject": clause.subject.noun,
        "predicate": clause.predicate,
        "object adjective": clause.object.adjective if clause.object else None,
        "object": clause.object.noun if clause.object else None,
    }
    return {slot: word for slot, word in words.items() if word}


def put(clause: Clause, slot: str, word: Word) -> Clause:
    """Return the clause with another word in one slot, which must be filled."""
    if slot == "predicate":
        return replace(clause, predicate=word)
    name = "object" if slot.startswith("object") else "subject"
    phrase = getattr(clause, name)
    part = "adjective" if slot.endswith("adjective") else "noun"
    return replace(clause, **{name: replace(phrase, **{part: word})})


def implied(word: Word) -> tuple[Word, ...]:
    """Return the words that can replace a word without making the sentence false."""
    return related(word, Relation.HYPERNYM if word.part is Part.NOUN else Relation.SYNONYM)


def reword(rng: Random, clause: Clause, *, probability: float) -> Clause:
    """Replace words of a clause so that the first clause implies the second.

    Args:
        rng: The source of random draws.
        clause: A clause whose determiners are all monotone.
        probability: The probability that a word is replaced.
    """
    for slot, word in fillers(clause).items():
        if rng.chance(probability) and implied(word):
            clause = put(clause, slot, rng.pick(implied(word)))
    return clause


@cache
def _tags() -> dict[str, str]:
    """Map every form to a letter for its class; capitals are plural, ``e`` and ``E`` copulas."""
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
    """Return whether words form a sentence: agreement and word order only, the full stop last."""
    return _SENTENCE.fullmatch("".join(_tags().get(word, "?") for word in words)) is not None
