"""The examples of the five tasks of the quick suite, drawn from the toy language.

Three tasks mirror tasks of GLUE in form and score:

* ``toy-cola``: is the sentence acceptable? Half of the sentences contain one error of agreement or
  of word order.
* ``toy-mrpc``: do two sentences mean the same? Words are replaced by synonyms, nouns also by their
  kind; in a negative pair, one or two words are replaced by unrelated ones.
* ``toy-sts``: how much of the meaning do two sentences share, from 0 to 5? Each of four words adds
  its own weight if it is repeated or replaced by a word of the same meaning.

Two mirror question answering and generation:

* ``toy-squad``: who does what, in a passage of three sentences? The question is one of them with
  ``?`` in place of its subject or its object; its other words may be reworded.
* ``toy-e2e``: write a sentence for a meaning such as ``many , happy , robin , like , a , kite``:
  number, adjective and noun of the subject, the verb, number and noun of the object, each in its
  base form. ``the happy robins like the kite .`` is a reference; the others reword it.

No training set tells the meaning of words: it can be learned in pretraining only.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from sparsebench.quick import lexicon
from sparsebench.quick.language import (
    Clause,
    acceptable,
    draw_clause,
    draw_statement,
    fillers,
    implied,
    put,
    reword,
)
from sparsebench.quick.lexicon import Part, Word
from sparsebench.quick.rng import Random

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import NotRequired

Split = Literal["train", "dev"]

SIZES: dict[Split, int] = {"train": 2000, "dev": 500}
"""Examples in each split of the three sentence tasks."""

TEXT_SIZES: dict[Split, int] = {"train": 2000, "dev": 300}
"""Questions or meanings in each split of the other two."""

WEIGHTS = {"adjective": 1.0, "subject": 1.2, "predicate": 1.6, "object": 1.2}
"""The points that each word of a sentence adds to the score of ``toy-sts``; the sum is 5."""

SENTENCES = 3
"""Sentences of a passage."""

REFERENCES = 3
"""References of a meaning, fewer if some are equal; the first has exactly the given words."""

_ASKED = "?"
_SEPARATOR = " , "
_NUMBERS = ("a", "many")


class Example(TypedDict):
    """One example; ``label`` is a class for ``toy-cola`` and ``toy-mrpc``, else a score."""

    sentence1: str
    sentence2: NotRequired[str]
    label: int | float


def draw_examples(task: str, split: Split) -> list[Example]:
    """Draw a split of a sentence task, always the same; the splits share no text."""
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
    """Change the number of one verb, copula, noun or determiner."""
    words = clause.words()
    pairs = lexicon.other_number()
    place = rng.pick([i for i, word in enumerate(words) if word in pairs])
    return [*words[:place], pairs[words[place]], *words[place + 1 :]]


def _swap_order(rng: Random, clause: Clause) -> list[str]:
    """Swap two neighbouring words."""
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
    """Draw a word that fits the same place and is unrelated to the given one."""
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


def draw_questions(split: Split) -> list[dict[str, Any]]:
    """Draw a split of ``toy-squad``, always the same; the splits share no passage.

    Returns:
        Examples with ``question``, ``context``, ``texts`` and ``starts``, as in SQuAD.
    """
    taken = {e["context"] for e in draw_questions("dev")} if split == "train" else set()
    rng = Random(f"toy-squad {split}")
    questions: list[dict[str, Any]] = []
    while len(questions) < TEXT_SIZES[split]:
        question = _question(rng)
        if question["context"] not in taken:
            taken.add(question["context"])
            questions.append(question)
    return questions


def _question(rng: Random) -> dict[str, Any]:
    clauses = _passage(rng)
    place = rng.below(SENTENCES)
    words, again = clauses[place].words(), reword(rng, clauses[place], probability=0.5).words()
    subject = len(clauses[place].subject.words())
    # Rewording changes words, never their number, so the positions are those of `words`.
    if rng.chance(0.5):
        answer, before, question = words[:subject], [], [_ASKED, *again[subject:-1]]
    else:
        answer, before = words[subject + 1 : -1], words[: subject + 1]
        question = [*again[: subject + 1], _ASKED]
    sentences = [clause.text() for clause in clauses]
    lead = [*sentences[:place], *before]
    return {
        "question": " ".join(question),
        "context": " ".join(sentences),
        "texts": [" ".join(answer)],
        "starts": [sum(len(part) + 1 for part in lead)],
    }


def _passage(rng: Random) -> list[Clause]:
    """Draw sentences with unrelated verbs, and objects without an adjective."""
    clauses: list[Clause] = []
    while len(clauses) < SENTENCES:
        clause = draw_statement(rng)
        if clause.object is not None and clause.predicate.axis not in {
            other.predicate.axis for other in clauses
        }:
            clauses.append(replace(clause, object=replace(clause.object, adjective=None)))
    return clauses


def draw_meanings(split: Split) -> list[dict[str, Any]]:
    """Draw a split of ``toy-e2e``, always the same; the splits share no meaning.

    Returns:
        Examples with ``mr``, the meaning, and ``references``.
    """
    taken = {e["mr"] for e in draw_meanings("dev")} if split == "train" else set()
    rng = Random(f"toy-e2e {split}")
    meanings: list[dict[str, Any]] = []
    while len(meanings) < TEXT_SIZES[split]:
        clause = _with_plain_determiners(draw_statement(rng))
        mr = _SEPARATOR.join(_slots(clause))
        if mr not in taken:
            taken.add(mr)
            again = [reword(rng, clause, probability=0.5) for _ in range(REFERENCES - 1)]
            texts = [form.text() for form in (clause, *again)]
            meanings.append({"mr": mr, "references": list(dict.fromkeys(texts))})
    return meanings


def missing_slots(mrs: Iterable[str], texts: Iterable[str]) -> float:
    """Return the share of words of the meanings that the texts express in no form."""
    missing = total = 0
    forms = _forms()
    for mr, text in zip(mrs, texts, strict=True):
        written = set(text.split())
        for slot in mr.split(_SEPARATOR):
            if slot not in _NUMBERS:
                total += 1
                missing += forms[slot].isdisjoint(written)
    return missing / total


def _with_plain_determiners(clause: Clause) -> Clause:
    """Replace both determiners by ``the``."""
    object_ = replace(clause.object, determiner="the") if clause.object else None
    return replace(clause, subject=replace(clause.subject, determiner="the"), object=object_)


def _slots(clause: Clause) -> list[str]:
    phrases = [clause.subject, *([clause.object] if clause.object else [])]
    adjective = [clause.subject.adjective.singular] if clause.subject.adjective else []
    numbers = [_NUMBERS[phrase.plural] for phrase in phrases]
    subject = [numbers[0], *adjective, phrases[0].noun.singular]
    return [*subject, clause.predicate.plural, numbers[1], phrases[1].noun.singular]


def _forms() -> dict[str, set[str]]:
    """Map each base form to all forms of the word and of the words that can replace it."""

    def all_forms(word: Word) -> set[str]:
        words = (word, *implied(word))
        return {form for each in words for form in (each.singular, each.plural)}

    everything = (*lexicon.nouns(), *lexicon.adjectives(), *lexicon.verbs())
    return {
        (word.plural if word.part is Part.VERB else word.singular): all_forms(word)
        for word in everything
    }
