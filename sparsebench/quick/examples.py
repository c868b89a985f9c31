"""The examples of the three tasks of the quick suite, drawn from the toy language.

Each mirrors a task of GLUE in form and score:

* ``toy-cola``: is the sentence acceptable? Half of the sentences carry one error of agreement or
  of word order.
* ``toy-mrpc``: do two sentences say the same? Words are replaced by synonyms, nouns also by their
  kind; if they do not say the same, one or two words are replaced by unrelated ones.
* ``toy-sts``: how much of the meaning do two sentences share, from 0 to 5? Each of four words
  counts, if it stands again or is said in another way, with a weight of its own.

What the words mean is not told by any training set: it can be known from pretraining only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypedDict

from sparsebench.quick import lexicon
from sparsebench.quick.documents import draw_statement
from sparsebench.quick.language import Clause, acceptable, draw_clause
from sparsebench.quick.lexicon import Part, Word
from sparsebench.quick.rewording import fillers, implied, put
from sparsebench.quick.rng import Random

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NotRequired

Split = Literal["train", "dev"]
SIZES: dict[Split, int] = {"train": 2000, "dev": 500}
"""Examples in each split."""

WEIGHTS = {"adjective": 1.0, "subject": 1.2, "predicate": 1.6, "object": 1.2}
"""What each word of a sentence adds to the score of ``toy-sts``; together 5."""


class Example(TypedDict):
    """One example; ``label`` is a class for ``toy-cola`` and ``toy-mrpc``, else a score."""

    sentence1: str
    sentence2: NotRequired[str]
    label: int | float


def draw_examples(task: str, split: Split) -> list[Example]:
    """Draws a split of a task, always the same; no text of one split stands in another."""
    taken = {_texts(e) for e in draw_examples(task, "dev")} if split == "train" else set()
    rng = Random(f"{task} {split}")
    examples: list[Example] = []
    while len(examples) < SIZES[split]:
        example = _DRAW[task](rng)
        if _texts(example) not in taken:
            taken.add(_texts(example))
            examples.append(example)
    return examples


def _texts(example: Example) -> tuple[str, str | None]:
    return example["sentence1"], example.get("sentence2")


def _cola(rng: Random) -> Example:
    clause = draw_clause(rng)
    if rng.chance(0.5):
        return {"sentence1": clause.text(), "label": 1}
    spoil = _swap_number if rng.chance(0.6) else _swap_order
    words = spoil(rng, clause)
    while acceptable(words):
        words = spoil(rng, clause)
    return {"sentence1": " ".join(words), "label": 0}


def _swap_number(rng: Random, clause: Clause) -> list[str]:
    """Puts one verb, copula, noun or determiner into the other number."""
    words = clause.words()
    pairs = lexicon.other_number()
    place = rng.pick([i for i, word in enumerate(words) if word in pairs])
    return [*words[:place], pairs[words[place]], *words[place + 1 :]]


def _swap_order(rng: Random, clause: Clause) -> list[str]:
    """Exchanges two neighbours."""
    words = clause.words()
    place = rng.below(len(words) - 2)
    words[place], words[place + 1] = words[place + 1], words[place]
    return words


def _mrpc(rng: Random) -> Example:
    first = draw_statement(rng)
    words, second = fillers(first), first
    for slot in WEIGHTS:
        if rng.chance(0.5):
            second = put(second, slot, rng.pick(implied(words[slot])))
    same = rng.chance(0.5)
    if not same:
        for slot in rng.sample(list(WEIGHTS), count=1 + rng.below(2)):
            second = put(second, slot, _unrelated(rng, words[slot]))
    return {"sentence1": first.text(), "sentence2": second.text(), "label": int(same)}


def _sts(rng: Random) -> Example:
    first = draw_statement(rng)
    second, score, closeness = first, 0.0, rng.fraction()
    for slot, weight in WEIGHTS.items():
        word = fillers(first)[slot]
        if not rng.chance(closeness):
            second = put(second, slot, _unrelated(rng, word))
            continue
        score += weight
        if rng.chance(0.5):
            second = put(second, slot, rng.pick(implied(word)))
    return {"sentence1": first.text(), "sentence2": second.text(), "label": round(score, 1)}


def _unrelated(rng: Random, word: Word) -> Word:
    """Draws a word of the same use that has nothing to do with this one."""
    pools = {
        Part.NOUN: lexicon.nouns(),
        Part.ADJECTIVE: lexicon.adjectives(),
        Part.VERB: lexicon.verbs(),
    }
    alike = [w for w in pools[word.part] if w.axis != word.axis and w.object == word.object]
    return rng.pick([w for w in alike if w.subject == word.subject] or alike)


_DRAW: dict[str, Callable[[Random], Example]] = {
    "toy-cola": _cola,
    "toy-mrpc": _mrpc,
    "toy-sts": _sts,
}
