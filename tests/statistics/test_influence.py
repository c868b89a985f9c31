"""The influence functions of metrics agree with the bootstrap and the jackknife."""

from __future__ import annotations

import numpy as np
import pytest

from sparsebench import metrics
from sparsebench.statistics import SMOOTH_METRICS, as_arrays, influence


def made_up_predictions(metric: str, *, examples: int = 400) -> tuple[list[float], list[float]]:
    generator = np.random.default_rng(3)
    if metric in {"pearson", "spearman"}:
        right = generator.integers(0, 26, examples) / 5  # with ties, as in STS-B
        return list(right + generator.normal(0, 1, examples)), list(right)
    right = (generator.random(examples) < 0.65).astype(int)
    wrong = generator.random(examples) < 0.2
    return list(np.where(wrong, 1 - right, right)), list(right)


@pytest.mark.parametrize("metric", SMOOTH_METRICS)
def test_values_are_those_of_the_metric(metric: str) -> None:
    pair = made_up_predictions(metric)
    filled = as_arrays(metric, *pair)

    assert filled is not None
    expected = metrics.compute(metric, *pair)[metric]
    assert SMOOTH_METRICS[metric].value(*filled) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("metric", SMOOTH_METRICS)
def test_its_variance_is_that_of_the_bootstrap(metric: str) -> None:
    pair = made_up_predictions(metric)
    found = influence(metric, *pair)
    assert found is not None
    x, y = as_arrays(metric, *pair) or (None, None)
    generator = np.random.default_rng(0)
    drawn = (generator.integers(0, len(found), len(found)) for _ in range(3000))
    bootstrap = np.std([SMOOTH_METRICS[metric].value(x[at], y[at]) for at in drawn])

    assert found.mean() == pytest.approx(0, abs=1e-12)
    assert np.sqrt((found**2).sum()) / len(found) == pytest.approx(bootstrap, rel=0.06)


@pytest.mark.parametrize("metric", SMOOTH_METRICS)
def test_leaving_one_example_out_moves_the_score_by_its_influence(metric: str) -> None:
    pair = made_up_predictions(metric)
    found = influence(metric, *pair)
    assert found is not None
    x, y = as_arrays(metric, *pair) or (None, None)
    whole, count = SMOOTH_METRICS[metric].value(x, y), len(found)
    moved = [
        (count - 1) * (whole - SMOOTH_METRICS[metric].value(np.delete(x, at), np.delete(y, at)))
        for at in range(40)
    ]

    np.testing.assert_allclose(moved, found[:40], atol=0.05)


def test_a_missing_answer_counts_as_the_metric_counts_it() -> None:
    predictions, references = made_up_predictions("f1")
    gap = [None, *predictions[1:]]
    wrong = [1 - references[0], *predictions[1:]]

    for metric in ("accuracy", "f1", "matthews"):
        np.testing.assert_allclose(
            influence(metric, gap, references), influence(metric, wrong, references)
        )


@pytest.mark.parametrize("metric", SMOOTH_METRICS)
def test_a_model_that_always_says_the_same_has_a_finite_influence(metric: str) -> None:
    found = influence(metric, [0] * 10, [0, 1] * 5)

    assert found is not None
    assert np.isfinite(found).all()


def test_texts_and_unknown_metrics_have_none() -> None:
    assert influence("f1", ["a"], ["b"]) is None
    assert influence("bleu", [1], [1]) is None
    assert influence("accuracy", [], []) is None


def test_predictions_that_are_not_numbers_have_no_influence() -> None:
    spans = [{"text": "in 1066", "no_answer": -3.0}, {"text": "", "no_answer": 2.0}]

    assert influence("f1", spans, [["in 1066", "1066"], []]) is None
    assert influence("f1", [None, None], [["in 1066", "1066"], []]) is None
