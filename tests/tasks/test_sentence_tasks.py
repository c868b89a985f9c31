"""How a backbone sees examples of GLUE, and how its answers are read and scored."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
import pytest
from datasets import Dataset
from hypothesis import given
from hypothesis import strategies as st

from sparsebench.errors import UserError
from sparsebench.models import BUILT_IN_FAMILIES, Family, Form
from sparsebench.tasks import DataSource
from sparsebench.tasks.glue import ALL, COLA, MNLI, MRPC, RTE, SST2, STSB, GlueTask

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import PreTrainedTokenizerBase

    from sparsebench.tasks import Task

LONG = "the cat sleeps . " * 30


def pairs(task: GlueTask, *rows: tuple[str, str, float]) -> Dataset:
    """Makes examples of a task with two texts."""
    first, second = task.fields
    return Dataset.from_list([{"id": str(n), first: a, second: b, "label": c}
                              for n, (a, b, c) in enumerate(rows)])  # fmt: skip


def sentences(*texts: str) -> Dataset:
    """Makes examples of CoLA."""
    rows = [{"id": str(n), "sentence": text, "label": 1} for n, text in enumerate(texts)]
    return Dataset.from_list(rows)


class TestForms:
    @pytest.mark.parametrize("task", ALL, ids=lambda task: task.name)
    def test_every_family_can_answer(self, task: Task) -> None:
        forms = {family: task.form_for(family) for family in BUILT_IN_FAMILIES}
        assert forms.pop(Family.T5) is Form.TEXT_TO_TEXT
        assert set(forms.values()) == {Form.CLASSIFICATION}


class TestClassification:
    def encode(
        self, task: Task, rows: Dataset, tokenizer: PreTrainedTokenizerBase, max_length: int = 128
    ) -> Dataset:
        return task.encode(
            rows, tokenizer=tokenizer, form=Form.CLASSIFICATION, max_length=max_length
        )

    def test_a_sentence(self, word_tokenizer: PreTrainedTokenizerBase) -> None:
        features = self.encode(COLA, sentences("the cat sleeps .", "it is red"), word_tokenizer)
        tokens = [word_tokenizer.convert_ids_to_tokens(ids) for ids in features["input_ids"]]
        assert tokens == [
            ["[CLS]", "the", "cat", "sleeps", ".", "[SEP]"],
            ["[CLS]", "it", "is", "red", "[SEP]"],
        ]
        assert features["attention_mask"] == [[1] * 6, [1] * 5]
        assert features["labels"] == [1, 1]

    def test_a_pair(self, word_tokenizer: PreTrainedTokenizerBase) -> None:
        features = self.encode(MRPC, pairs(MRPC, ("a cat", "a dog barks", 0)), word_tokenizer)[0]
        tokens = word_tokenizer.convert_ids_to_tokens(features["input_ids"])
        assert tokens == ["[CLS]", "a", "cat", "[SEP]", "a", "dog", "barks", "[SEP]"]
        assert features["token_type_ids"] == [0, 0, 0, 0, 1, 1, 1, 1]

    def test_the_premise_comes_first(self, word_tokenizer: PreTrainedTokenizerBase) -> None:
        features = self.encode(MNLI, pairs(MNLI, ("a cat", "a dog", 2)), word_tokenizer)[0]
        assert word_tokenizer.decode(features["input_ids"]) == "[CLS] a cat [SEP] a dog [SEP]"

    @pytest.mark.parametrize(("first", "second"), [(LONG, "a dog barks"), ("a dog barks", LONG)])
    def test_the_longer_text_of_a_pair_is_cut(
        self, first: str, second: str, word_tokenizer: PreTrainedTokenizerBase
    ) -> None:
        rows = pairs(MRPC, (first, second, 0))
        ids = self.encode(MRPC, rows, word_tokenizer, max_length=16)[0]["input_ids"]
        assert len(ids) == 16
        assert "a dog barks [SEP]" in word_tokenizer.decode(ids)

    def test_a_regression_has_numbers(self, word_tokenizer: PreTrainedTokenizerBase) -> None:
        features = self.encode(
            STSB, pairs(STSB, ("a", "a", 5.0), ("a", "it", 0.25)), word_tokenizer
        )
        assert features["labels"] == [5.0, 0.25]
        assert features.features["labels"].dtype == "float64"

    def test_many_batches_stay_in_order(
        self, word_tokenizer: PreTrainedTokenizerBase, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rows = sentences(*("it " * n for n in range(1, 8)))
        at_once = self.encode(COLA, rows, word_tokenizer).to_list()
        monkeypatch.setattr("sparsebench.tasks.sentences.BATCH", 3)
        assert self.encode(COLA, rows, word_tokenizer).to_list() == at_once
        assert [len(row["input_ids"]) for row in at_once] == list(range(3, 10))

    def test_padding_from_an_earlier_call_is_gone(
        self, word_tokenizer: PreTrainedTokenizerBase
    ) -> None:
        word_tokenizer(["it", "it is"], padding="max_length", max_length=40)
        features = self.encode(COLA, sentences("it"), word_tokenizer)
        assert [len(ids) for ids in features["input_ids"]] == [3]


class TestClassificationOnTheLastToken:
    """GPT-2: nothing is added, so the model classifies on the last token of the text."""

    def encode(
        self, task: Task, rows: Dataset, tokenizer: PreTrainedTokenizerBase, max_length: int = 128
    ) -> list[int]:
        features = task.encode(
            rows, tokenizer=tokenizer, form=Form.CLASSIFICATION, max_length=max_length
        )
        ids: list[int] = features[0]["input_ids"]
        return ids

    def test_a_pair_is_parted_by_a_line_break(
        self, gpt2_tokenizer: PreTrainedTokenizerBase
    ) -> None:
        ids = self.encode(MRPC, pairs(MRPC, ("a cat", "a dog", 0)), gpt2_tokenizer)
        assert gpt2_tokenizer.decode(ids) == "a cat\na dog"

    def test_the_parting_survives_truncation(self, gpt2_tokenizer: PreTrainedTokenizerBase) -> None:
        ids = self.encode(MRPC, pairs(MRPC, (LONG, "a dog barks", 0)), gpt2_tokenizer, 16)
        assert len(ids) == 16
        assert gpt2_tokenizer.decode(ids).endswith("\na dog barks")

    @pytest.mark.parametrize("text", ["the cat sleeps", LONG.strip()])
    def test_the_last_token_is_one_of_the_text(
        self, text: str, gpt2_tokenizer: PreTrainedTokenizerBase
    ) -> None:
        ids = self.encode(COLA, sentences(text), gpt2_tokenizer, 12)
        assert len(ids) <= 12
        assert gpt2_tokenizer.eos_token_id not in ids
        assert text.startswith(gpt2_tokenizer.decode(ids))


class TestTextToText:
    def encode(
        self, task: Task, rows: Dataset, tokenizer: PreTrainedTokenizerBase, max_length: int = 512
    ) -> dict[str, list[int]]:
        features = task.encode(
            rows, tokenizer=tokenizer, form=Form.TEXT_TO_TEXT, max_length=max_length
        )
        assert set(features.column_names) == {"input_ids", "attention_mask", "labels"}
        row: dict[str, list[int]] = features[0]
        return row

    @pytest.mark.parametrize(
        ("task", "prompt", "answer"),
        [
            (MRPC, "mrpc sentence1: a cat sentence2: a dog", "not_equivalent"),
            (MNLI, "mnli hypothesis: a dog premise: a cat", "entailment"),
            (STSB, "stsb sentence1: a cat sentence2: a dog", "0.0"),
        ],
    )
    def test_prompt_and_answer_of_a_pair(
        self, task: GlueTask, prompt: str, answer: str, t5_tokenizer: PreTrainedTokenizerBase
    ) -> None:
        features = self.encode(task, pairs(task, ("a cat", "a dog", 0)), t5_tokenizer)
        assert features["input_ids"] == t5_tokenizer(prompt)["input_ids"]
        assert features["labels"] == t5_tokenizer(answer)["input_ids"]
        assert features["attention_mask"] == [1] * len(features["input_ids"])

    def test_prompt_and_answer_of_a_sentence(self, t5_tokenizer: PreTrainedTokenizerBase) -> None:
        features = self.encode(COLA, sentences("the cat sleeps ."), t5_tokenizer)
        prompt = "cola sentence: the cat sleeps ."
        assert features["input_ids"] == t5_tokenizer(prompt)["input_ids"]
        assert features["labels"] == t5_tokenizer("acceptable")["input_ids"]

    def test_truncation_keeps_both_texts_and_the_end(
        self, t5_tokenizer: PreTrainedTokenizerBase
    ) -> None:
        rows = pairs(RTE, (LONG, "a dog barks", 0))
        ids = self.encode(RTE, rows, t5_tokenizer, max_length=48)["input_ids"]
        text = t5_tokenizer.decode(ids)
        assert len(ids) == 48
        assert text.startswith("rte sentence1: the cat")
        assert text.endswith("sentence2: a dog barks</s>")

    @pytest.mark.parametrize(
        ("label", "text"),
        [
            (0.0, "0.0"),
            (5.0, "5.0"),
            (3.799999, "3.8"),
            (2.533, "2.6"),
            (0.09, "0.0"),
            (1.25, "1.2"),
        ],
    )
    def test_numbers_are_written_to_the_nearest_fifth(self, label: float, text: str) -> None:
        assert STSB.target(label) == text

    @given(st.floats(0, 5))
    def test_a_written_number_is_at_most_a_tenth_away(self, label: float) -> None:
        (number,) = STSB.decode([STSB.target(label)], form=Form.TEXT_TO_TEXT)
        assert isinstance(number, float)
        assert abs(number - label) <= 0.1 + 1e-9

    @pytest.mark.parametrize("task", [t for t in ALL if t is not STSB], ids=lambda task: task.name)
    def test_every_class_is_read_back(self, task: GlueTask) -> None:
        texts = [task.target(label) for label in range(len(task.labels))]
        assert task.decode(texts, form=Form.TEXT_TO_TEXT) == list(range(len(task.labels)))

    def test_a_text_that_is_no_answer(self) -> None:
        texts = [" entailment\n", "neutral.", "", "Neutral", "2"]
        assert MNLI.decode(texts, form=Form.TEXT_TO_TEXT) == [0, None, None, None, None]
        texts = ["3.8", " 4", "four", "", "nan", "inf", "3.8.1"]
        assert STSB.decode(texts, form=Form.TEXT_TO_TEXT) == [3.8, 4.0, *[None] * 5]


class TestLogits:
    def test_the_largest_is_the_answer(self) -> None:
        outputs = np.array([[0.1, 0.2, -1], [5, 4, 3], [0, 0, 1]])
        assert MNLI.decode(list(outputs), form=Form.CLASSIFICATION) == [1, 0, 2]

    def test_the_only_one_is_a_number(self) -> None:
        assert STSB.decode([np.array([2.5])], form=Form.CLASSIFICATION) == [2.5]

    def test_not_finite_is_no_answer(self) -> None:
        outputs = [np.array([math.nan, 1.0]), np.array([0.0, math.inf])]
        assert SST2.decode(outputs, form=Form.CLASSIFICATION) == [None, None]

    def test_answers_are_plain_python(self) -> None:
        (answer,) = SST2.decode([np.zeros(2, np.float32)], form=Form.CLASSIFICATION)
        assert type(answer) is int
        (number,) = STSB.decode([np.zeros(1, np.float32)], form=Form.CLASSIFICATION)
        assert type(number) is float


class TestScores:
    def test_references_are_the_labels(self) -> None:
        assert RTE.references(pairs(RTE, ("a", "b", 1), ("a", "b", 0))) == [1, 0]

    @pytest.mark.parametrize(
        ("name", "metrics"),
        [
            ("cola", {"matthews"}),
            ("stsb", {"pearson", "spearman"}),
            ("mrpc", {"accuracy", "f1"}),
            ("qqp", {"accuracy", "f1"}),
            *((name, {"accuracy"}) for name in ("sst2", "mnli", "qnli", "rte", "wnli")),
        ],
    )
    def test_metrics_by_convention(self, name: str, metrics: set[str]) -> None:
        task = next(task for task in ALL if task.name == name)
        assert set(task.score([0, 1, 1], [0, 1, 0])) == metrics

    def test_the_headline_of_two_metrics_is_their_mean(self) -> None:
        scores = MRPC.score([1, 1, 1, 0], [1, 1, 0, 0])
        assert scores == {"accuracy": 0.75, "f1": pytest.approx(0.8)}
        assert MRPC.headline({"validation": scores}) == pytest.approx(0.775)

    def test_the_headline_of_mnli_weighs_both_sets_alike(self) -> None:
        scores = {
            "validation_matched": MNLI.score([0, 1, 2, 0], [0, 1, 2, 1]),
            "validation_mismatched": MNLI.score([0], [1]),
        }
        assert MNLI.headline(scores) == pytest.approx(0.375)

    def test_headlines_have_names(self) -> None:
        assert COLA.headline_metric == "matthews"
        assert MRPC.headline_metric == "mean of accuracy and f1"

    def test_no_answer_at_all(self) -> None:
        assert MNLI.score([None, None], [0, 1]) == {"accuracy": 0.0}
        assert MRPC.score([None, None], [0, 1]) == {"accuracy": 0.0, "f1": 0.0}


@pytest.mark.real
def test_real_pairs_with_the_tokenizer_of_the_real_model(
    data_folder: Path, model_folder: Path
) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model_folder, local_files_only=True)
    rows = MRPC.load(DataSource(data_folder)).evaluation["validation"]
    features = MRPC.encode(rows, tokenizer=tokenizer, form=Form.CLASSIFICATION, max_length=64)
    lengths = [len(ids) for ids in features["input_ids"]]
    assert (len(features), max(lengths)) == (408, 64)
    assert features["labels"] == rows["label"]
    for ids, kinds in zip(features["input_ids"], features["token_type_ids"], strict=True):
        assert ids.count(tokenizer.sep_token_id) == 2
        assert kinds.index(1) == ids.index(tokenizer.sep_token_id) + 1


class TestHoldingOut:
    """Mistakes end in a message of our own, not in that of scikit-learn."""

    def test_a_class_with_a_single_example_is_named(self) -> None:
        rows = pairs(RTE, *[(f"a{n}", "b", 0) for n in range(30)], ("c", "d", 1))
        with pytest.raises(UserError) as raised:
            RTE.hold_out(rows, share=0.1, seed=0)
        assert str(raised.value) == (
            "RTE: cannot hold out 0.1 of the training set (held_out.share): a single example has "
            "the class not_entailment, and both parts need one: add examples of the class, remove "
            "it, or train without a held-out split (protocol: last)"
        )

    @pytest.mark.parametrize(
        ("share", "message"),
        [
            (0.05, "of 10 examples, 1 would be held out, and at least one of each class"),
            (0.95, "of 10 examples, 0 would be left to train on"),
        ],
    )
    def test_a_share_with_fewer_examples_than_classes_is_refused(
        self, share: float, message: str
    ) -> None:
        rows = pairs(MNLI, *[(f"a{n}", "b", n % 3) for n in range(10)])
        with pytest.raises(UserError, match=message):
            MNLI.hold_out(rows, share=share, seed=0)

    def test_a_single_number_cannot_be_split(self) -> None:
        with pytest.raises(UserError, match=r"STS-B: .* 0 would be left to train on"):
            STSB.hold_out(pairs(STSB, ("a", "b", 2.0)), share=0.1, seed=0)

    @pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
    def test_enough_examples_are_split(self, share: float) -> None:
        rows = pairs(MNLI, *[(f"a{n}", "b", n % 3) for n in range(30)])
        kept, held = MNLI.hold_out(rows, share=share, seed=0)
        assert len(held) == 30 * share
        assert set(kept["label"]) == set(held["label"]) == {0, 1, 2}
