"""How the score of one run hangs on each of its examples."""

from __future__ import annotations

import math
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from sparsebench.results.predictions import examples_digest
from sparsebench.statistics import influence

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from sparsebench.results.predictions import Predictions
    from sparsebench.results.records import RunResult

    ReadPredictions = Callable[[RunResult], dict[str, Predictions] | None]
    """Returns what a run answered, split by split; None where that is not stored."""


@dataclass(frozen=True)
class Sampling:
    """The share of each example in a run's headline score.

    Attributes:
        examples: A hash of the examples; only runs with the same one can be compared by example.
        terms: The influence of each example over the number of examples ``[n]``.
    """

    examples: str
    terms: NDArray[np.float64]


def sampling_of(result: RunResult, answers: dict[str, Predictions] | None) -> Sampling | None:
    """Returns how a score hangs on its examples.

    Args:
        result: A run with a score.
        answers: What the run answered, split by split.

    Returns:
        None where the predictions are not there, or the headline score is neither the mean of the
        metrics of all splits nor one of them, or the influence of an example is not known.
    """
    metrics = headline_metrics(result)
    if not answers or not metrics or answers.keys() != result.scores.keys():
        return None
    terms = []
    for told in (answers[split] for split in sorted(answers)):
        influences = [influence(name, told.predictions, told.references) for name in metrics]
        known = [values for values in influences if values is not None]
        if len(known) < len(metrics):
            return None
        terms.append(np.mean(known, axis=0) / len(told.ids) / len(answers))
    return Sampling(examples_digest(answers), np.concatenate(terms))


def headline_metrics(result: RunResult) -> tuple[str, ...]:
    """Returns the metrics whose mean over all splits is the headline score, if there are such."""
    splits = list(result.scores.values())
    if not splits or result.score is None:
        return ()
    names = tuple(sorted(splits[0]))
    for chosen in (names, *((name,) for name in names if name == result.headline_metric)):
        if not chosen or not all(name in split for split in splits for name in chosen):
            continue
        mean = statistics.fmean(split[name] for split in splits for name in chosen)
        if math.isclose(mean, result.score, rel_tol=1e-9, abs_tol=1e-12):
            return chosen
    return ()
