"""The tasks of the quick suite: the same every time, disjoint, balanced, and scored by meaning."""

from __future__ import annotations

import pytest

from sparsebench.quick.examples import SIZES, draw_examples
from sparsebench.quick.language import acceptable
from sparsebench.quick.vocabulary import vocabulary
from sparsebench.tasks import TASKS, DataSource

NAMES = ("toy-cola", "toy-mrpc", "toy-sts")


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


@pytest.mark.parametrize("name", NAMES)
def test_the_fingerprint_stays_what_it_was(name: str) -> None:
    """A change of these values makes every result of the quick suite out of date."""
    expected = {
        "toy-cola": "0a362a50de3e3c6a",
        "toy-mrpc": "192ea96098398eb2",
        "toy-sts": "739bacd0a16eb7d4",
    }
    assert TASKS.get(name).load(DataSource()).fingerprint == expected[name]
