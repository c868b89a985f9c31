"""Compute scores again from stored predictions."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from sparsebench.errors import UserError
from sparsebench.tasks import TASKS

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping

    from sparsebench.results.predictions import Predictions
    from sparsebench.results.records import RunResult
    from sparsebench.tasks import Scores

TOLERANCE = 1e-9
"""The largest difference of a score that is computed again: rounding of the last digits."""


def score_faults(result: RunResult, predictions: Mapping[str, Predictions]) -> Iterator[str]:
    """Yield where the scores of a run are not those of its predictions.

    Args:
        result: The result.
        predictions: Its predictions, split by split.
    """
    try:
        task = TASKS.get(result.spec.task)
    except UserError as error:
        yield f"its scores cannot be computed again: {error}"
        return
    if task.version != result.spec.task_version:
        yield (
            f"its scores cannot be computed again: they are of version {result.spec.task_version} "
            f"of {result.spec.task}, installed is {task.version}"
        )
        return
    if predictions.keys() != result.scores.keys():
        yield f"predictions of {_names(predictions)}, but scores of {_names(result.scores)}"
        return
    try:
        found = {
            split: task.score(each.predictions, each.references)
            for split, each in predictions.items()
        }
    except (ArithmeticError, TypeError, ValueError, UserError) as error:
        yield f"its predictions cannot be scored: {error}"
        return
    yield from _differences(found, result, absent=task.missing_metrics())
    headline = task.headline(found)
    if result.score is None or not _close(headline, result.score):
        yield f"its score is {result.score}, but its predictions give {headline}"


def unchecked(result: RunResult) -> dict[str, str]:
    """Return the metrics of a run that cannot be computed again here, each with the reason.

    Args:
        result: A result whose task is installed.
    """
    stored = {metric for scores in result.scores.values() for metric in scores}
    absent = TASKS.get(result.spec.task).missing_metrics()
    return {metric: reason for metric, reason in absent.items() if metric in stored}


def _differences(
    found: Mapping[str, Scores], result: RunResult, *, absent: Collection[str]
) -> Iterator[str]:
    """Yield metrics that differ, except those that could not be computed then, or here."""
    for split, scores in sorted(found.items()):
        stored = result.scores[split]
        for metric in sorted({*scores, *stored}):
            said, computed = stored.get(metric), scores.get(metric)
            if said is None:
                same = metric in result.missing
            elif computed is None:
                same = metric in absent
            else:
                same = _close(said, computed)
            if not same:
                yield f"{split} {metric} is {said}, but its predictions give {computed}"


def _close(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=TOLERANCE)


def _names(splits: Mapping[str, object]) -> str:
    return ", ".join(sorted(splits)) or "none"
