"""References are compared with those of the data set, where that is at hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from factories import make_result

from sparsebench.execution.verification import verify
from sparsebench.results.store import Store
from sparsebench.tasks import TASKS, DataSource
from sparsebench.tasks.loading import load_data

if TYPE_CHECKING:
    from pathlib import Path
    from typing import Any

TASK = "toy-cola"  # it needs no files


def write(root: Path, change: Any = lambda rows: rows, *, data: str | None = None) -> None:
    """Store a run whose predictions are all right, with the references of the data or others."""
    loaded, task = load_data(TASK, DataSource()), TASKS.get(TASK)
    rows: list[dict[str, Any]] = []
    for split, examples in loaded.evaluation.items():
        for key, right in zip(examples["id"], task.references(examples), strict=True):
            rows.append({"split": split, "id": key, "prediction": right, "reference": right})
    rows = change(rows)
    splits = {row["split"] for row in rows}
    scores = {
        split: task.score(
            [row["prediction"] for row in rows if row["split"] == split],
            [row["reference"] for row in rows if row["split"] == split],
        )
        for split in splits
    }
    fingerprint = data or loaded.fingerprint
    result = make_result(
        task.headline(scores), task=TASK, data=fingerprint, task_version=task.version
    )
    Store(root).write(result.model_copy(update={"scores": scores}), predictions=rows)


def flipped(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    wrong = 1 - rows[3]["reference"]
    return [{**row, "reference": wrong} if row is rows[3] else row for row in rows]


def test_references_of_the_data_set_are_compared(tmp_path: Path) -> None:
    write(tmp_path)
    report = verify(Store(tmp_path).runs())
    assert (report.faults, report.compared, report.without_data) == ([], 1, {})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (flipped, "1 of its "),
        (lambda rows: rows[1:], "its examples of validation are not those of the data set"),
        (lambda rows: [{**r, "split": "other"} for r in rows], "has no split 'other'"),
    ],
)
def test_other_references_or_examples_are_wrong(tmp_path: Path, change: Any, said: str) -> None:
    write(tmp_path, change)
    messages = [fault.message for fault in verify(Store(tmp_path).runs()).faults]
    assert [message for message in messages if said in message], messages


def test_data_with_another_fingerprint_is_not_compared(tmp_path: Path) -> None:
    write(tmp_path, flipped, data="0123456789abcdef")
    report = verify(Store(tmp_path).runs())
    assert (report.faults, report.compared) == ([], 0)
    assert "that of the run is 01234567" in report.without_data[TASK]
