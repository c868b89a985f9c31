"""Question tasks: what is trained on, how answers are put together, silence, text to text."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from datasets import Dataset, concatenate_datasets

from sparsebench.errors import UserError
from sparsebench.models import BUILT_IN_FAMILIES, Form
from sparsebench.tasks.questions import QuestionTask

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

    from sparsebench.tasks import DataSource, TaskData

CONTEXT = "the cat runs and the dog sleeps . a red car is not it , the blue dog barks ."


class Questions(QuestionTask):
    """A task without data of its own."""

    def load(self, source: DataSource) -> TaskData:
        raise NotImplementedError


TASK = Questions(name="q", title="Q", description="", group="test")
SILENT = Questions(name="q2", title="Q2", description="", group="test", may_be_silent=True)
ROWS = Dataset.from_dict(
    {
        "id": ["a", "b"],
        "question": ["is it red ?", "the cat ?"],
        "context": [CONTEXT, "it sleeps ."],
        "texts": [["blue dog", "dog"], []],
        "starts": [[CONTEXT.index("blue dog"), 0], []],
    }
)


def perfect(features: Dataset, wanted: list[str]) -> list[Any]:
    """Logits that mark a text where a window has it, and nothing where none does."""
    outputs = []
    for row in features:
        logits = np.full((2, len(row["input_ids"])), -5.0)
        text, context = wanted[row["example"]], ROWS["context"][row["example"]]
        at = context.index(text) if text else -1
        for side, place in ((0, at), (1, at + len(text))):
            values = row["starts"] if side == 0 else row["ends"]
            tokens = [n for n, end in enumerate(row["ends"]) if end and values[n] == place]
            logits[side, tokens[0] if text and tokens else row["nothing"]] = 5.0
        outputs.append(logits)
    return outputs


class TestSpans:
    @pytest.mark.parametrize("max_length", [14, 64])
    def test_the_right_logits_give_the_right_answers(
        self, word_tokenizer: PreTrainedTokenizerFast, max_length: int
    ) -> None:
        terms: dict[str, Any] = {"form": Form.SPAN}
        features = TASK.encode_inputs(
            ROWS, tokenizer=word_tokenizer, max_length=max_length, **terms
        )
        outputs = perfect(features, ["blue dog", "sleeps"])
        answers = TASK.decode(outputs, examples=ROWS, features=features, **terms)
        assert answers == ["blue dog", "sleeps"]

    def test_silence_is_weighed_against_the_best_span(
        self, word_tokenizer: PreTrainedTokenizerFast
    ) -> None:
        terms: dict[str, Any] = {"form": Form.SPAN}
        features = SILENT.encode_inputs(ROWS, tokenizer=word_tokenizer, max_length=14, **terms)
        answers: Any = SILENT.decode(
            perfect(features, ["blue dog", ""]), examples=ROWS, features=features, **terms
        )
        # In the window with the answer: span 5 + 5, nothing -5 - 5.
        assert answers[0] == {"text": "blue dog", "no_answer": -20.0}
        assert answers[1]["no_answer"] == 10.0 - -10.0
        scores = SILENT.score(answers, SILENT.references(ROWS))
        assert scores["f1"] == scores["best_f1"] == scores["exact_match"] == 1
        assert -20 <= scores["best_f1_threshold"] < 20

    def test_training_marks_the_first_answer(self, word_tokenizer: PreTrainedTokenizerFast) -> None:
        features = TASK.encode(ROWS, tokenizer=word_tokenizer, form=Form.SPAN, max_length=64)
        assert set(features.column_names) == {
            "input_ids",
            "token_type_ids",
            "attention_mask",
            "start_positions",
            "end_positions",
        }
        row = features[0]
        marked = row["input_ids"][row["start_positions"] : row["end_positions"] + 1]
        assert word_tokenizer.decode(marked) == "blue dog"
        assert (features[1]["start_positions"], features[1]["end_positions"]) == (0, 0)


class TestTextToText:
    def test_question_and_context_are_the_prompt_and_only_the_context_is_cut(
        self, t5_tokenizer: PreTrainedTokenizerFast
    ) -> None:
        terms: dict[str, Any] = {"tokenizer": t5_tokenizer, "form": Form.TEXT_TO_TEXT}
        features = TASK.encode(ROWS, max_length=512, **terms)
        # The tiny vocabulary has no "x".
        prompt = t5_tokenizer.decode(features[1]["input_ids"]).replace("<unk>", "x")
        assert prompt.startswith("question: the cat ? context: it sleeps")
        assert features[1]["input_ids"][-1] == t5_tokenizer.eos_token_id
        short = TASK.encode(ROWS, max_length=60, **terms)[0]["input_ids"]
        assert len(short) == 60
        assert t5_tokenizer.decode(short).startswith("question: is it red ? conte")
        answer = features[0]["labels"]
        assert t5_tokenizer.decode(answer, skip_special_tokens=True) == "blue dog"

    def test_no_answer_is_written_in_a_word(self, t5_tokenizer: PreTrainedTokenizerFast) -> None:
        terms: dict[str, Any] = {"form": Form.TEXT_TO_TEXT, "examples": ROWS, "features": ROWS}
        assert SILENT.decode([" blue dog", "unanswerable "], **terms) == ["blue dog", ""]
        assert TASK.decode(["unanswerable"], **terms) == ["unanswerable"]


def test_every_family_answers() -> None:
    forms = [TASK.form_for(family) for family in BUILT_IN_FAMILIES]
    assert forms == [Form.SPAN] * 3 + [Form.TEXT_TO_TEXT]


class TestUncoveredCharacters:
    """The tokenizer drops control characters, as that of BERT does."""

    @pytest.fixture
    def tokenizer(self, word_tokenizer: PreTrainedTokenizerFast) -> PreTrainedTokenizerFast:
        from tokenizers import normalizers

        cleaned = copy.deepcopy(word_tokenizer)
        cleaned.backend_tokenizer.normalizer = normalizers.BertNormalizer(lowercase=False)
        return cleaned

    @pytest.mark.parametrize("max_length", [14, 64])
    @pytest.mark.parametrize(
        ("context", "answer"),
        [
            ("the cat\u200b runs and the dog sleeps .", "cat\u200b"),
            ("the cat runs and the dog\u0007\u0007", "dog\u0007\u0007"),
            ("the \u200ecat runs and the dog sleeps .", "\u200ecat"),
        ],
    )
    def test_at_the_ends_of_an_answer_are_disregarded(
        self,
        tokenizer: PreTrainedTokenizerFast,
        caplog: pytest.LogCaptureFixture,
        context: str,
        answer: str,
        max_length: int,
    ) -> None:
        rows = one_question(context, answer)
        found = SILENT.encode(rows, tokenizer=tokenizer, form=Form.SPAN, max_length=max_length)
        words = {
            tokenizer.decode(row["input_ids"][row["start_positions"] : row["end_positions"] + 1])
            for row in found
        }
        assert words - {"[CLS]"} == {answer.strip("\u200b\u0007\u200e")}
        assert not caplog.records

    @pytest.mark.parametrize(
        ("context", "answer"),
        [
            ("the cat \u200b runs .", "\u200b"),
            (CONTEXT, "runs and the dog sleeps . a red car is not it"),
        ],
    )
    def test_an_answer_that_no_window_contains_is_left_out_and_logged(
        self,
        tokenizer: PreTrainedTokenizerFast,
        caplog: pytest.LogCaptureFixture,
        context: str,
        answer: str,
    ) -> None:
        terms: Any = {"tokenizer": tokenizer, "form": Form.SPAN, "max_length": 16}
        rows = concatenate_datasets([ROWS, one_question(context, answer)])
        assert SILENT.encode(rows, **terms)[:] == SILENT.encode(ROWS, **terms)[:]
        assert "Q2: left 1 of 3 questions out of training" in caplog.text
        assert "(z)" in caplog.text
        with pytest.raises(UserError, match="no question is left to train on"):
            SILENT.encode(one_question(context, answer), **terms)


def one_question(context: str, answer: str) -> Dataset:
    return Dataset.from_dict(
        {
            "id": ["z"],
            "question": ["is it red ?"],
            "context": [context],
            "texts": [[answer]],
            "starts": [[context.index(answer)]],
        }
    )
