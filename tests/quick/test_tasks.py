"""The tasks of the quick suite: the same every time, disjoint, balanced, and scored by meaning."""

from __future__ import annotations

import pytest

from sparsebench.quick.examples import (
    SIZES,
    draw_examples,
    draw_meanings,
    draw_questions,
    missing_slots,
)
from sparsebench.quick.language import acceptable
from sparsebench.quick.lexicon import vocabulary
from sparsebench.tasks import TASKS, DataSource

NAMES = ("toy-cola", "toy-mrpc", "toy-sts")
WORDS = frozenset(vocabulary())


@pytest.mark.parametrize("name", NAMES)
def test_splits_are_full_disjoint_and_in_the_vocabulary(name: str) -> None:
    splits = {split: draw_examples(name, split) for split in SIZES}
    texts = {}
    for split, examples in splits.items():
        assert len(examples) == SIZES[split]
        texts[split] = {(e["sentence1"], e.get("sentence2")) for e in examples}
        assert len(texts[split]) == SIZES[split], "an example stands twice"
        words = {w for pair in texts[split] for text in pair for w in (text or "").split()}
        assert words <= set(vocabulary())
    assert not texts["train"] & texts["dev"]
    assert draw_examples(name, "dev") == splits["dev"]


@pytest.mark.parametrize("name", ["toy-cola", "toy-mrpc"])
def test_classes_are_balanced(name: str) -> None:
    labels = [example["label"] for example in draw_examples(name, "dev")]
    assert 0.44 < sum(labels) / len(labels) < 0.56


def test_cola_labels_follow_the_grammar() -> None:
    for example in draw_examples("toy-cola", "dev"):
        assert acceptable(example["sentence1"].split()) == bool(example["label"])


def test_sts_scores_run_from_0_to_5() -> None:
    labels = {example["label"] for example in draw_examples("toy-sts", "train")}
    assert (min(labels), max(labels)) == (0, 5)
    assert len(labels) > 10


@pytest.mark.parametrize("name", [*NAMES, "toy-squad", "toy-e2e"])
def test_the_fingerprint_stays_what_it_was(name: str) -> None:
    """A change of these values makes every result of the quick suite out of date."""
    expected = {
        "toy-cola": "0a362a50de3e3c6a",
        "toy-mrpc": "192ea96098398eb2",
        "toy-sts": "739bacd0a16eb7d4",
        "toy-squad": "e6c5eba5e5a8aa67",
        "toy-e2e": "5f4433f431e0cb6a",
    }
    assert TASKS.get(name).load(DataSource()).fingerprint == expected[name]


def test_questions_are_answered_in_their_passage() -> None:
    splits = {split: draw_questions(split) for split in SIZES}
    for examples in splits.values():
        for example in examples:
            (text,), (start,) = example["texts"], example["starts"]
            assert example["context"][start:].startswith(f"{text} ")
            assert {*example["question"].split(), *example["context"].split()} <= WORDS
    contexts = [{e["context"] for e in examples} for examples in splits.values()]
    assert contexts[0].isdisjoint(contexts[1])


def test_meanings_are_said_by_their_references_and_by_nothing_else() -> None:
    splits = {split: draw_meanings(split) for split in SIZES}
    for examples in splits.values():
        mrs = [example["mr"] for example in examples]
        for place in (0, -1):
            texts = [example["references"][place] for example in examples]
            assert missing_slots(mrs, texts) == 0
            assert all(acceptable(text.split()) for text in texts)
            assert {word for text in (*mrs, *texts) for word in text.split()} <= WORDS
        assert missing_slots(mrs, [""] * len(mrs)) == 1
        assert missing_slots(mrs, [*texts[1:], texts[0]]) > 0.5
    assert {e["mr"] for e in splits["train"]}.isdisjoint(e["mr"] for e in splits["dev"])
