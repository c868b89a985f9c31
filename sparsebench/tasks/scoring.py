"""Scores predictions that were made elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sparsebench.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from sparsebench.tasks import Answer, DataSource, Scores, Task


@dataclass(frozen=True)
class Scored:
    """What predictions are worth.

    Attributes:
        scores: Split -> metric -> value.
        headline: The one number that the task contributes to an average.
        examples: Examples that were to be predicted.
        missing: Those without a prediction, which count as wrong, by how files name them.
        unknown: Predictions for what is no example; they count for nothing.
        absent: Metrics that cannot be computed here -> the reason.
    """

    scores: dict[str, Scores]
    headline: float
    examples: int
    missing: tuple[str, ...]
    unknown: tuple[str, ...]
    absent: Mapping[str, str]


def score_file(task: Task, file: Path, *, data: DataSource, split: str) -> Scored:
    """Scores a file of predictions.

    Args:
        task: The task.
        file: The predictions, in the task's format.
        data: Where the references come from; only the split is read.
        split: One of ``task.splits``.

    Raises:
        UserError: The file, or the data, is absent or malformed, or predicts nothing of the split.
    """
    examples = task.load_split(data, split)
    given = task.read_predictions(file, examples)
    keys = {name: task.prediction_keys(rows) for name, rows in examples.items()}
    known = {key for names in keys.values() for key in names}
    if known.isdisjoint(given):
        raise UserError(f"{file}: predicts nothing of the {split} set of {task.title}")
    scores: dict[str, Scores] = {}
    missing: list[str] = []
    for name, rows in examples.items():
        answers: list[Answer] = [given.get(key) for key in keys[name]]
        missing += [key for key in keys[name] if key not in given]
        scores[name] = task.score(answers, task.references(rows))
    return Scored(
        scores=scores,
        headline=task.headline(scores),
        examples=sum(map(len, examples.values())),
        missing=tuple(missing),
        unknown=tuple(key for key in given if key not in known),
        absent=task.missing_metrics(),
    )


def as_json(scored: Scored, *, task: str, split: str) -> dict[str, Any]:
    """Returns all of it as JSON values."""
    return {
        "task": task,
        "split": split,
        "headline": scored.headline,
        "scores": scored.scores,
        "examples": scored.examples,
        "missing": list(scored.missing),
        "unknown": list(scored.unknown),
        "absent": dict(scored.absent),
    }
