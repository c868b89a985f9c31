"""Windows: every answer that fits lies in one, and only valid spans come out."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from datasets import Dataset
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsebench.tasks.windows import best_spans, by_example, place_answers, span_of, windows

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

QUESTION = "is it red ?"
CONTEXT = "the cat runs and the dog sleeps . a red car is not it , the blue dog barks and runs ."


def columns(tokenizer: Any, max_length: int, **texts: str) -> dict[str, list[Any]]:
    pair = ([texts.get("question", QUESTION)], [texts.get("context", CONTEXT)])
    return windows(*pair, tokenizer=tokenizer, max_length=max_length)


class TestWindows:
    @pytest.mark.parametrize("max_length", [14, 18, 24, 64])
    def test_hold_the_question_and_all_of_the_context(
        self, word_tokenizer: PreTrainedTokenizerFast, max_length: int
    ) -> None:
        found = columns(word_tokenizer, max_length)
        covered = set()
        for ids, starts, ends in zip(
            found["input_ids"], found["starts"], found["ends"], strict=True
        ):
            assert len(ids) <= max_length
            assert word_tokenizer.decode(ids).startswith(f"[CLS] {QUESTION} [SEP]")
            for token, first, last in zip(ids, starts, ends, strict=True):
                if last:
                    text = CONTEXT[first:last]
                    assert word_tokenizer.convert_ids_to_tokens(token) == text
                    covered.add(first)
        assert len(covered) == len(CONTEXT.split())

    @pytest.mark.parametrize("max_length", [14, 18, 24])
    def test_every_answer_of_no_more_tokens_than_they_share_lies_in_one(
        self, word_tokenizer: PreTrainedTokenizerFast, max_length: int
    ) -> None:
        found = columns(word_tokenizer, max_length)
        taken = len(word_tokenizer(QUESTION, "")["input_ids"])
        shared = (max_length - taken) // 2
        words = list(itertools.accumulate(len(w) + 1 for w in CONTEXT.split()))
        begins = [0, *words[:-1]]
        for first, last in itertools.combinations_with_replacement(range(len(begins)), 2):
            span = (begins[first], words[last] - 1)
            inside = [
                span_of(np.asarray(s), np.asarray(e), *span)
                for s, e in zip(found["starts"], found["ends"], strict=True)
            ]
            if last - first + 1 <= shared:
                assert any(inside), CONTEXT[slice(*span)]

    def test_of_a_causal_model_end_in_the_token_that_has_seen_all(
        self, gpt2_tokenizer: PreTrainedTokenizerFast
    ) -> None:
        found = columns(gpt2_tokenizer, 40)
        for ids, starts, ends, nothing in zip(
            *(found[k] for k in ("input_ids", "starts", "ends", "nothing")), strict=True
        ):
            assert nothing == len(ids) - 1 == len(starts) - 1
            assert ids[-1] == gpt2_tokenizer.eos_token_id
            assert ends[-1] == 0
            assert gpt2_tokenizer.decode(ids).startswith(f"{QUESTION}\n")

    def test_the_end_of_a_long_question_is_cut(
        self, word_tokenizer: PreTrainedTokenizerFast
    ) -> None:
        found = columns(word_tokenizer, 20, question="red " * 90)
        assert word_tokenizer.decode(found["input_ids"][0]).count("red") == 10
        assert all(any(ends) for ends in found["ends"])

    def test_without_the_answer_point_at_nothing(
        self, word_tokenizer: PreTrainedTokenizerFast
    ) -> None:
        found = columns(word_tokenizer, 16)
        first = CONTEXT.index("barks")
        place_answers(found, [(first, first + 5)])
        tokens = [
            word_tokenizer.convert_ids_to_tokens(ids[place])
            for ids, place in zip(found["input_ids"], found["start_positions"], strict=True)
        ]
        assert set(tokens) == {"[CLS]", "barks"}
        place_answers(found, [(0, 0)])
        assert set(found["start_positions"]) == set(found["end_positions"]) == {0}

    def test_are_told_apart_by_question(self, word_tokenizer: PreTrainedTokenizerFast) -> None:
        found = windows(
            [QUESTION, "not red ?"],
            [CONTEXT, "a cat ."],
            tokenizer=word_tokenizer,
            max_length=18,
        )
        features = Dataset.from_dict(found)
        outputs = [np.full((2, len(ids)), n) for n, ids in enumerate(found["input_ids"])]
        first, second = by_example(features, outputs)
        assert len(first) == len(features) - 1
        assert len(second) == 1
        assert second[0]["logits"][0, 0] == len(features) - 1


class TestSpans:
    @settings(max_examples=100)
    @given(
        st.lists(st.tuples(st.integers(-9, 9), st.integers(-9, 9), st.booleans()), min_size=1),
        st.integers(1, 5),
    )
    def test_are_the_best_of_all_valid_ones(
        self, rows: list[tuple[int, int, bool]], longest: int
    ) -> None:
        count = len(rows)
        logits = np.array([[a for a, _, _ in rows], [b for _, b, _ in rows]], dtype=np.float32)
        inside = sorted(n for n in range(count) if rows[n][2])
        inside = list(range(inside[0], inside[-1] + 1)) if inside else []
        ends = np.array([n * 2 + 1 if n in inside else 0 for n in range(count)])
        starts = np.array([n * 2 if n in inside else 0 for n in range(count)])
        found = best_spans(logits, starts, ends, longest=longest, count=10)
        valid = sorted(
            (logits[0, a] + logits[1, b] for a in inside for b in inside if a <= b < a + longest),
            reverse=True,
        )
        assert [span.score for span in found] == [float(score) for score in valid[:10]]
        for span in found:
            a, b = span.first // 2, (span.last - 1) // 2
            assert a in inside
            assert a <= b < a + longest

    def test_padding_is_none(self) -> None:
        starts, ends = np.array([0, 0, 4]), np.array([0, 3, 7])
        logits = np.array([[9.0, 1.0, 2.0, 99.0], [9.0, 1.0, 2.0, 99.0]])
        (best,) = best_spans(logits, starts, ends, longest=3, count=1)
        assert (best.first, best.last, best.score) == (4, 7, 4.0)
