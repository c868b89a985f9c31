"""Exact match and F1: small cases by hand, and the rules in which 1.1 and 2.0 differ."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsebench.metrics import compute
from sparsebench.metrics.squad import best_thresholds, normalised, squad2_scores

if TYPE_CHECKING:
    from collections.abc import Sequence

WORDS = st.lists(st.sampled_from(["the", "red", "cat", "Dog.", "a", "-"]), max_size=5).map(" ".join)


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("The  Norman-French, a people!", "normanfrench people"),
        ("an apple", "apple"),
        ("Theatre and another", "theatre and another"),
        ("a", ""),
        ("£5.00", "£500"),
        ("café\n au  lait", "café au lait"),
    ],
)
def test_case_punctuation_articles_and_blanks_do_not_count(text: str, left: str) -> None:
    assert normalised(text) == left


class TestOneAndOne:
    @pytest.mark.parametrize(
        ("answer", "golds", "exact", "f1"),
        [
            ("The Cat", ["cat"], 1, 1),
            ("red cat", ["a black cat"], 0, 2 * 1 / (2 + 2)),
            ("red cat", ["dog", "red red cat"], 0, 2 * 2 / (2 + 3)),
            ("red red", ["red"], 0, 2 * 1 / (2 + 1)),
            ("dog", ["cat"], 0, 0),
            ("", ["cat"], 0, 0),
            (None, ["cat"], 0, 0),
            ("the", ["a"], 1, 0),  # nothing is left of both
            (None, ["a"], 0, 0),
        ],
    )
    def test_counts_by_the_nearest_reference(
        self, answer: str | None, golds: list[str], exact: float, f1: float
    ) -> None:
        scores = compute("squad", [answer], [golds])
        assert scores == {"exact_match": exact, "f1": pytest.approx(f1)}

    def test_is_the_mean_over_questions(self) -> None:
        scores = compute("squad", ["cat", "red cat", None], [["cat"], ["cat"], ["cat"]])
        assert scores == {
            "exact_match": pytest.approx(1 / 3),
            "f1": pytest.approx((1 + 2 / 3 + 0) / 3),
        }


class TestTwo:
    def test_an_empty_answer_is_right_where_there_is_none(self) -> None:
        assert compute("squad2", ["", "cat", None], [[], [], []]) == {
            "exact_match": pytest.approx(1 / 3),
            "f1": pytest.approx(1 / 3),
            "no_answer_exact_match": pytest.approx(1 / 3),
            "no_answer_f1": pytest.approx(1 / 3),
        }

    def test_both_kinds_are_told_apart(self) -> None:
        scores = compute("squad2", ["red cat", ""], [["cat"], []])
        assert scores["has_answer_exact_match"] == 0
        assert scores["has_answer_f1"] == pytest.approx(2 / 3)
        assert scores["no_answer_f1"] == 1
        assert scores["f1"] == pytest.approx((2 / 3 + 1) / 2)

    def test_references_of_which_nothing_is_left_do_not_count(self) -> None:
        assert squad2_scores("", ["the", "cat"]) == (0, 0)
        assert squad2_scores("", ["the"]) == (1, 1)

    @settings(max_examples=50)
    @given(st.lists(st.tuples(WORDS, st.lists(WORDS, min_size=1, max_size=3)), min_size=1))
    def test_agrees_with_one_and_one_where_something_is_left(
        self, pairs: list[tuple[str, list[str]]]
    ) -> None:
        kept = [(a, golds) for a, golds in pairs if all(map(normalised, [a, *golds]))]
        if kept:
            answers, golds = map(list, zip(*kept, strict=True))
            one, two = compute("squad", answers, golds), compute("squad2", answers, golds)
            assert one == {name: pytest.approx(two[name]) for name in one}


def by_trying_all(
    answers: Sequence[str], levels: Sequence[float], golds: Sequence[list[str]]
) -> tuple[float, float]:
    """The best exact match and F1 over every way to draw the line."""
    best = [0.0, 0.0]
    for line in [-np.inf, *levels]:
        shown = [a if level <= line else "" for a, level in zip(answers, levels, strict=True)]
        pairs = zip(shown, golds, strict=True)
        totals = np.mean([squad2_scores(*pair) for pair in pairs], axis=0)
        best = [max(b, t) for b, t in zip(best, totals, strict=True)]
    return best[0], best[1]


class TestThresholds:
    @settings(max_examples=100)
    @given(
        st.lists(
            st.tuples(
                st.sampled_from(["cat", "red cat", "dog"]),
                st.sampled_from([-2.0, -1.0, 0.0, 0.5, 3.0]),
                st.sampled_from([[], ["cat"], ["dog", "red cat"]]),
            ),
            min_size=1,
            max_size=8,
        )
    )
    def test_are_the_best_of_all(self, rows: list[tuple[str, float, list[str]]]) -> None:
        answers, levels, golds = map(list, zip(*rows, strict=True))
        found = best_thresholds(answers, levels, golds)
        exact, f1 = by_trying_all(answers, levels, golds)
        assert found["best_exact_match"] == pytest.approx(exact)
        assert found["best_f1"] == pytest.approx(f1)

    def test_give_what_they_promise(self) -> None:
        answers, golds = ["cat", "dog", "cat", "cat"], [["cat"], [], ["cat"], []]
        for levels in itertools.permutations([-1.0, 0.0, 1.0, 2.0]):
            found = best_thresholds(answers, levels, golds)
            line = found["best_f1_threshold"]
            shown = [a if x <= line else "" for a, x in zip(answers, levels, strict=True)]
            assert compute("squad2", shown, golds)["f1"] == pytest.approx(found["best_f1"])
