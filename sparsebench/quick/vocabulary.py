"""The closed vocabulary of the toy language, special tokens first."""

from __future__ import annotations

from functools import cache

from sparsebench.quick import lexicon

PAD, START, END, MASK, UNKNOWN = SPECIAL = ("<pad>", "<s>", "</s>", "<mask>", "<unk>")
SENTINELS = tuple(f"<extra_id_{place}>" for place in range(4))
"""Stand for the spans that are cut out of a text, in T5's pretraining."""

NUMBERS = tuple(f"{tenths / 10:.1f}" for tenths in range(0, 51, 2))
"""The numbers from 0.0 to 5.0 in steps of 0.2, the only ones of the language."""

_LITTLE = ". , ? a is are the not like unlike more less than yes no hurrah alas".split()  # noqa: SIM905
_PROMPTS = "toy-cola toy-mrpc toy-sts sentence1: sentence2:".split()  # noqa: SIM905


@cache
def vocabulary() -> tuple[str, ...]:
    """Returns every token; its place is its id."""
    content = (*lexicon.kinds(), *lexicon.nouns(), *lexicon.adjectives(), *lexicon.verbs())
    words = [form for word in content for form in (word.singular, word.plural)]
    places = [*lexicon.PLACES, *lexicon.PREPOSITIONS, *lexicon.ADVERBS]
    determiners = [*lexicon.SINGULAR_DETERMINERS, *lexicon.PLURAL_DETERMINERS]
    rest = [*determiners, *places, *_LITTLE, *_PROMPTS, *NUMBERS]
    return tuple(dict.fromkeys([*SPECIAL, *SENTINELS, *words, *rest]))
