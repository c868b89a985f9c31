"""Score a file of predictions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sparsebench.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from sparsebench.tasks import DataSource, Prediction, Scores, Task


NAMED = 3
"""Ids that a message names."""


@dataclass(frozen=True)
class Scored:
    """The scores of a file of predictions.

    Attributes:
        scores: Split -> metric -> value.
        headline: The one number that the task contributes to an average.
        examples: The number of examples.
        missing: The keys of examples without a prediction, which count as wrong.
        unknown: The keys of predictions without an example, which are ignored.
        absent: Metrics that cannot be computed here -> the reason.
    """

    scores: dict[str, Scores]
    headline: float
    examples: int
    missing: tuple[str, ...]
    unknown: tuple[str, ...]
    absent: Mapping[str, str]


def score_file(task: Task, file: Path, *, data: DataSource, split: str) -> Scored:
    """Score a file of predictions.

    Args:
        task: The task.
        file: The predictions, in the task's format.
        data: The source of the references; only the split is read.
        split: One of ``task.splits``.

    Raises:
        UserError: The file or the data is absent or malformed, over half of its keys match no
            example, or its examples are numbered from 1.
    """
    examples = task.load_split(data, split)
    given = task.read_predictions(file, examples)
    keys = {name: task.prediction_keys(rows) for name, rows in examples.items()}
    known = {key for names in keys.values() for key in names}
    if known.isdisjoint(given):
        raise UserError(f"{file}: predicts nothing of the {split} set of {task.title}")
    unknown = tuple(key for key in given if key not in known)
    what = f"{len(unknown):,} of {len(given):,} predictions are for no example of the {split} set"
    if len(unknown) * 2 > len(given):
        raise UserError(
            f"{file}: {what} of {task.title} ({_few(unknown)}); its examples are "
            f"{_few(keys[next(iter(keys))])}: is this the right task and split?"
        )
    if len(examples) == 1 and _numbered_from_one(unknown, given, len(known)):
        raise UserError(
            f"{file}: the ids are numbered from 1 to {len(known)}, and examples from 0: "
            "subtract 1 from each id"
        )
    scores: dict[str, Scores] = {}
    missing: list[str] = []
    for name, rows in examples.items():
        predictions: list[Prediction] = [given.get(key) for key in keys[name]]
        missing += [key for key in keys[name] if key not in given]
        scores[name] = task.score(predictions, task.references(rows))
    return Scored(
        scores=scores,
        headline=task.headline(scores),
        examples=sum(map(len, examples.values())),
        missing=tuple(missing),
        unknown=unknown,
        absent=task.missing_metrics(),
    )


def _numbered_from_one(unknown: Sequence[str], given: Mapping[str, Prediction], count: int) -> bool:
    """Return whether the only unknown key is the number of examples, and 0 is not predicted."""
    first_is_absent = not any(key == "0" or key.endswith("-0") for key in given)
    return list(unknown) == [str(count)] and first_is_absent


def _few(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names[:NAMED])) + (", ..." if len(names) > NAMED else "")


def as_json(scored: Scored, *, task: str, split: str) -> dict[str, Any]:
    """Return the scores as JSON values."""
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
