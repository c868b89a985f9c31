"""The words of the toy language, their relations, and the vocabulary of the tokenizers.

A noun belongs to a *kind* (a robin is a bird), and each kind has a noun of its own. Verbs and
adjectives belong to an *axis* with two poles of two words each: the words of one pole are synonyms,
words of opposite poles are antonyms. All inflection is regular, and no form has two readings.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from functools import cache


class Part(StrEnum):
    """The parts of speech that inflect or carry meaning."""

    NOUN = "noun"
    VERB = "verb"
    ADJECTIVE = "adjective"


class Relation(StrEnum):
    """The relation of a second word to a first."""

    SAME = "same"
    SYNONYM = "synonym"
    ANTONYM = "antonym"
    HYPERNYM = "hypernym"
    """The second names the kind of the first: robin, bird."""
    HYPONYM = "hyponym"
    """The second is one of the kind that the first names: bird, robin."""
    SIBLING = "sibling"
    """Two nouns of one kind: robin, owl."""
    UNRELATED = "unrelated"


@dataclass(frozen=True)
class Word:
    """A word with its two forms and its place in the lexicon.

    Attributes:
        singular: The form beside a singular subject (all adjectives have one form only).
        plural: The form beside a plural subject.
        part: The part of speech.
        axis: The kind of a noun, the axis of a verb or an adjective.
        pole: The meaning; two words of one axis and one pole are synonyms.
        subject: The nouns it can be combined with: ``any``, ``live`` or ``thing``; for a noun, its
            own sort.
        object: The nouns that a verb accepts as its object; empty for an intransitive verb.
    """

    singular: str
    plural: str
    part: Part
    axis: str
    pole: str
    subject: str
    object: str = ""

    def form(self, *, plural: bool) -> str:
        """Return the singular or the plural form."""
        return self.plural if plural else self.singular


LIVE_KINDS = {
    "bird": "robin crow swan duck hawk",
    "bug": "wasp bee moth beetle hornet",
    "worker": "baker farmer sailor tailor miner",
    "relative": "sister brother cousin nephew niece",
}
THING_KINDS = {
    "tool": "hammer saw spade drill chisel",
    "vehicle": "cart boat train truck wagon",
    "toy": "kite doll ball puzzle rattle",
    "fruit": "pear plum peach cherry melon",
}

# The positive pole of each axis comes first.
ADJECTIVES = {
    "any": "clean spotless/dirty filthy, strong sturdy/weak frail, pretty lovely/ugly hideous, "
    "quick fast/slow sluggish",
    "live": "happy glad/sad gloomy, brave bold/timid fearful, kind gentle/cruel harsh, "
    "clever smart/foolish silly",
}

# Keys: sort of the subject, sort of the object. The words are in their plural form.
VERBS = {
    ("live", "any"): "like adore/hate loathe, find discover/lose misplace, "
    "guard protect/hit strike",
    ("live", "live"): "help assist/harm hurt, praise applaud/blame scold",
    ("live", "thing"): "build make/break wreck, mend repair/spoil damage",
    ("live", ""): "laugh giggle/cry weep, win prevail/fail stumble",
    ("any", ""): "arrive come/leave depart, rise climb/fall sink, grow expand/shrink dwindle",
}

PLACES = [
    "garden",
    "forest",
    "kitchen",
    "market",
    "river",
    "tower",
    "bridge",
    "barn",
    "school",
    "meadow",
]
PREPOSITIONS = ["near", "behind", "beside", "under"]
ADVERBS = ["today", "tonight", "often", "again", "daily"]
SINGULAR_DETERMINERS = ["the", "this", "that", "every", "each"]
PLURAL_DETERMINERS = ["the", "these", "those", "some", "many", "several", "few"]
NON_MONOTONE_DETERMINERS = frozenset({"every", "each", "few"})
"""Determiners after which a noun cannot be replaced by its kind: the sentence may become false."""

PAD, START, END, MASK, UNKNOWN = SPECIAL = ("<pad>", "<s>", "</s>", "<mask>", "<unk>")
SENTINELS = tuple(f"<extra_id_{place}>" for place in range(4))
"""Tokens that replace the removed spans of a text in the pretraining of T5."""

NUMBERS = tuple(f"{tenths / 10:.1f}" for tenths in range(0, 51, 2))
"""The numbers from 0.0 to 5.0 in steps of 0.2, the only numbers of the language."""

_FUNCTION_WORDS = ". , ? a is are the not like unlike more less than yes no hurrah alas".split()  # noqa: SIM905
_PROMPTS = "toy-cola toy-mrpc toy-sts sentence1: sentence2:".split()  # noqa: SIM905


def inflect(base: str) -> str:
    """Add the regular ending: the plural of a noun, the singular form of a verb."""
    if base.endswith("y") and base[-2] not in "aeiou":
        return base[:-1] + "ies"
    return base + ("es" if base.endswith(("s", "sh", "ch", "x", "z")) else "s")


@cache
def kinds() -> tuple[Word, ...]:
    """Return the nouns that name kinds."""
    return tuple(
        Word(kind, inflect(kind), Part.NOUN, axis=kind, pole=kind, subject=sort)
        for sort, group in (("live", LIVE_KINDS), ("thing", THING_KINDS))
        for kind in group
    )


@cache
def nouns() -> tuple[Word, ...]:
    """Return the nouns that belong to a kind."""
    members = LIVE_KINDS | THING_KINDS
    return tuple(
        Word(noun, inflect(noun), Part.NOUN, axis=kind.axis, pole=noun, subject=kind.subject)
        for kind in kinds()
        for noun in members[kind.singular].split()
    )


@cache
def adjectives() -> tuple[Word, ...]:
    """Return all adjectives."""
    return tuple(
        Word(word, word, Part.ADJECTIVE, axis=axis, pole=pole, subject=sort)
        for sort, axes in ADJECTIVES.items()
        for axis in axes.split(", ")
        for pole in axis.split("/")
        for word in pole.split()
    )


@cache
def verbs() -> tuple[Word, ...]:
    """Return all verbs, transitive and intransitive."""
    return tuple(
        Word(inflect(word), word, Part.VERB, axis=axis, pole=pole, subject=subject, object=object_)
        for (subject, object_), axes in VERBS.items()
        for axis in axes.split(", ")
        for pole in axis.split("/")
        for word in pole.split()
    )


def relation(first: Word, second: Word) -> Relation:
    """Return the relation of the second word to the first."""
    if first == second:
        return Relation.SAME
    if (first.part, first.axis) != (second.part, second.axis):
        return Relation.UNRELATED
    if first.part is not Part.NOUN:
        return Relation.SYNONYM if first.pole == second.pole else Relation.ANTONYM
    if second.pole == second.axis:
        return Relation.HYPERNYM
    return Relation.HYPONYM if first.pole == first.axis else Relation.SIBLING


@cache
def related(word: Word, link: Relation) -> tuple[Word, ...]:
    """Return all words that have the given relation to a word."""
    everything = (*kinds(), *nouns(), *adjectives(), *verbs())
    return tuple(other for other in everything if relation(word, other) is link)


def fits(word: Word, noun: Word, *, as_object: bool = False) -> bool:
    """Return whether a verb or adjective can have the noun as its subject (or as its object)."""
    return (word.object if as_object else word.subject) in ("any", noun.subject)


@cache
def other_number() -> dict[str, str]:
    """Map each form that has a number to the form of the other number."""
    pairs = [("is", "are"), ("this", "these"), ("that", "those")]
    pairs += [(word.singular, word.plural) for word in (*nouns(), *kinds(), *verbs())]
    return {form: other for pair in pairs for form, other in (pair, pair[::-1])}


@cache
def vocabulary() -> tuple[str, ...]:
    """Return every token, special tokens first; the index of a token is its id."""
    content = (*kinds(), *nouns(), *adjectives(), *verbs())
    words = [form for word in content for form in (word.singular, word.plural)]
    places = [*PLACES, *PREPOSITIONS, *ADVERBS]
    determiners = [*SINGULAR_DETERMINERS, *PLURAL_DETERMINERS]
    rest = [*determiners, *places, *_FUNCTION_WORDS, *_PROMPTS, *NUMBERS]
    return tuple(dict.fromkeys([*SPECIAL, *SENTINELS, *words, *rest]))
