"""The values of the metrics, and what a missing answer counts as."""

from __future__ import annotations

import math
import warnings
from typing import TYPE_CHECKING

import evaluate
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import rankdata

from sparsebench.errors import UnknownNameError
from sparsebench.metrics import METRICS, compute
from sparsebench.metrics.labels import F1, Accuracy, Matthews, Pearson, Spearman

if TYPE_CHECKING:
    from pathlib import Path

binary = st.lists(st.tuples(st.integers(0, 1), st.integers(0, 1)), min_size=1, max_size=30)
with_gaps = st.lists(
    st.tuples(st.sampled_from([0, 1, None, 7]), st.integers(0, 1)), min_size=1, max_size=30
)
sixteenths = st.integers(-80, 80).map(lambda n: n / 16)
numeric = st.lists(st.tuples(sixteenths, sixteenths), min_size=2, max_size=30)


def confusion(pairs: list[tuple[int, int]]) -> tuple[int, int, int, int]:
    counts = {cell: pairs.count(cell) for cell in ((1, 1), (1, 0), (0, 1), (0, 0))}
    return counts[1, 1], counts[1, 0], counts[0, 1], counts[0, 0]


class TestValues:
    def test_accuracy_of_three_classes(self) -> None:
        assert compute("accuracy", [0, 1, 2, 2], [0, 1, 1, 2]) == {"accuracy": 0.75}

    def test_f1_of_class_one(self) -> None:
        # Two right, one too many, two not found: precision 2/3, recall 2/4.
        predictions, references = [1, 1, 1, 0, 0, 0], [1, 1, 0, 1, 1, 0]
        assert compute("f1", predictions, references)["f1"] == pytest.approx(4 / 7)

    def test_f1_where_class_one_never_occurs(self) -> None:
        assert compute("f1", [0, 0], [0, 0]) == {"f1": 0.0}

    def test_pearson(self) -> None:
        value = compute("pearson", [1.0, 2.0, 4.0], [1.0, 3.0, 2.0])["pearson"]
        # Deviations (-4/3, -1/3, 5/3) and (-1, 1, 0): 1 / sqrt(14/3 * 2).
        assert value == pytest.approx(1 / math.sqrt(28 / 3))

    def test_spearman_with_ties(self) -> None:
        value = compute("spearman", [1.0, 1.0, 9.0], [0.1, 0.2, 0.3])["spearman"]
        # Ranks (1.5, 1.5, 3) and (1, 2, 3).
        assert value == pytest.approx(1.5 / math.sqrt(1.5 * 2))

    @given(binary)
    def test_matthews_and_f1_follow_from_the_confusion_matrix(
        self, pairs: list[tuple[int, int]]
    ) -> None:
        tp, fp, fn, tn = confusion(pairs)
        predictions, references = map(list, zip(*pairs, strict=True))
        product = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
        matthews = (tp * tn - fp * fn) / math.sqrt(product) if product else 0.0
        f1 = 2 * tp / (2 * tp + fp + fn) if tp else 0.0
        assert compute("matthews", predictions, references)["matthews"] == pytest.approx(matthews)
        assert compute("f1", predictions, references)["f1"] == pytest.approx(f1)

    @given(numeric)
    def test_correlations_follow_from_the_covariance(
        self, pairs: list[tuple[float, float]]
    ) -> None:
        predictions, references = map(np.array, zip(*pairs, strict=True))
        if np.ptp(predictions) == 0 or np.ptp(references) == 0:
            expected = ranked = 0.0
        else:
            expected = np.corrcoef(predictions, references)[0, 1]
            ranked = np.corrcoef(rankdata(predictions), rankdata(references))[0, 1]
        pearson = compute("pearson", predictions, references)["pearson"]
        spearman = compute("spearman", predictions, references)["spearman"]
        assert pearson == pytest.approx(expected, abs=1e-9)
        assert spearman == pytest.approx(ranked, abs=1e-9)


class TestConstantAnswers:
    @pytest.mark.parametrize("name", ["matthews", "pearson", "spearman"])
    @pytest.mark.parametrize(
        ("predictions", "references"), [([1, 1, 1], [0, 1, 0]), ([0, 1, 0], [1, 1, 1]), ([1], [1])]
    )
    def test_have_no_correlation(
        self, name: str, predictions: list[int], references: list[int]
    ) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert compute(name, predictions, references) == {name: 0.0}

    def test_that_differ_by_rounding_only_do_not_warn(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            value = compute("pearson", [1.0, 1.0 + 1e-15, 1.0], [0.0, 1.0, 2.0])["pearson"]
        assert -1 <= value <= 1


class TestMissingAnswers:
    def test_are_incorrect(self) -> None:
        assert compute("accuracy", [None, 0, -1, 9], [0, 0, 1, 1]) == {"accuracy": 0.25}

    @settings(max_examples=50)
    @given(with_gaps)
    def test_count_as_the_wrong_class_of_two(self, pairs: list[tuple[int | None, int]]) -> None:
        predictions, references = map(list, zip(*pairs, strict=True))
        wrong = [p if p in (0, 1) else 1 - r for p, r in pairs]
        for name in ("accuracy", "f1", "matthews"):
            assert compute(name, predictions, references) == compute(name, wrong, references)

    @pytest.mark.parametrize("name", ["pearson", "spearman"])
    @pytest.mark.parametrize("missing", [None, math.nan, math.inf])
    def test_count_as_the_furthest_label(self, name: str, missing: float | None) -> None:
        references = [0.0, 1.0, 4.0, 5.0]
        with_gaps = compute(name, [missing, 2.0, 3.0, missing], references)
        assert with_gaps == compute(name, [5.0, 2.0, 3.0, 0.0], references)


OF_TEXTS = ("bleu", "cider", "meteor", "nist", "rouge_l", "squad", "squad2")


class TestCalls:
    @pytest.mark.parametrize("metric", [Accuracy, F1, Matthews, Pearson, Spearman])
    def test_every_metric_is_one_of_evaluate(self, metric: type[evaluate.Metric]) -> None:
        values = metric().compute(predictions=[0, 1, 1], references=[0, 1, 0])
        assert list(values) == [metric().name.lower()]
        assert metric().description
        assert metric().citation

    @pytest.mark.parametrize("name", [n for n in METRICS if n not in OF_TEXTS])
    def test_no_file_is_written(
        self, name: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setattr(evaluate.config, "HF_METRICS_CACHE", str(tmp_path))
        monkeypatch.chdir(tmp_path)
        assert name in compute(name, [0, 1], [0, 1])
        assert not list(tmp_path.iterdir())

    def test_arrays_will_do(self) -> None:
        assert compute("accuracy", np.array([0, 1]), np.array([0, 0])) == {"accuracy": 0.5}

    def test_an_unknown_name_is_told_the_nearest(self) -> None:
        with pytest.raises(UnknownNameError, match=r"'acuracy'; did you mean 'accuracy'\?"):
            compute("acuracy", [0], [0])

    def test_as_many_answers_as_references(self) -> None:
        with pytest.raises(ValueError, match="2 predictions for 1 references"):
            compute("accuracy", [0, 1], [0])

    def test_nothing_has_no_score(self) -> None:
        with pytest.raises(ValueError, match="no example"):
            compute("accuracy", [], [])
