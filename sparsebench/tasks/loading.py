"""Load the examples of a task: from an offline bundle if the process uses one, else by the task."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sparsebench.errors import UserError, suggestion
from sparsebench.models.bundle import bundle_folder, read_bundle
from sparsebench.tasks import TASKS
from sparsebench.tasks.base import MissingDataError, TaskData

if TYPE_CHECKING:
    from pathlib import Path

    from datasets import Dataset

    from sparsebench.tasks.base import DataSource

TRAIN = "train"


def load_data(task: str, source: DataSource) -> TaskData:
    """Load the examples of a task.

    Args:
        task: Its registered name.
        source: Where its data is, unless the process uses a bundle.

    Raises:
        MissingDataError: The examples are not there.
        UserError: The examples are malformed, or lack a column.
    """
    folder = bundle_folder()
    if folder is None:
        data = TASKS.get(task).load(source)
        _check_columns(task, data)
        return data
    tasks = read_bundle(folder).tasks
    if task not in tasks:
        raise MissingDataError(
            f"the data of {task!r} is not in the bundle{suggestion(task, tasks)}"
        )
    kept = tasks[task]
    return TaskData(
        train=_read(folder / kept.folder, TRAIN),
        evaluation={split: _read(folder / kept.folder, split) for split in kept.evaluation},
        fingerprint=kept.fingerprint,
        origin=kept.origin,
    )


def _check_columns(task: str, data: TaskData) -> None:
    for split, examples in {TRAIN: data.train, **data.evaluation}.items():
        for column in TASKS.get(task).example_columns:
            if column not in examples.column_names:
                near = suggestion(column, examples.column_names)
                raise UserError(f"{task}: its {split} examples have no column {column!r}{near}")


def write_data(data: TaskData, folder: Path) -> None:
    """Write the examples of a task, one Parquet file per split."""
    folder.mkdir(parents=True)
    for split, examples in {TRAIN: data.train, **data.evaluation}.items():
        examples.to_parquet(str(folder / f"{split}.parquet"))


def _read(folder: Path, split: str) -> Dataset:
    import pyarrow as pa
    import pyarrow.parquet as pq
    from datasets import Dataset

    file = folder / f"{split}.parquet"
    try:
        return Dataset(pq.read_table(file))
    except (OSError, pa.ArrowInvalid) as error:
        raise MissingDataError(f"{file}: cannot be read ({error})") from None
