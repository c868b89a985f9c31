"""The two places that the examples of GLUE come from: the official files and the Hub."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, TypeAlias

from sparsebench.tasks.base import MissingDataError
from sparsebench.tasks.files import read_tsv

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from datasets import Dataset

    from sparsebench.tasks.glue.task import GlueTask

HUB = "nyu-mll/glue"

RawExample: TypeAlias = "tuple[Any, ...]"
"""Where an example is, for messages; its texts; its label as the source writes it."""

Splits: TypeAlias = "dict[str, Iterator[RawExample]]"


def from_folder(task: GlueTask, folder: Path) -> tuple[Splits, str]:
    """Reads the official files of a task.

    Args:
        task: The task.
        folder: The folder that holds the task's one, itself or in a folder ``glue``.

    Returns:
        Split -> examples, and the task's folder.

    Raises:
        MissingDataError: A file is not there.
    """
    places = [folder / task.folder, folder / "glue" / task.folder]
    place = next((place for place in places if place.is_dir()), places[0])
    for _, name in task.files:
        if not (place / name).is_file():
            raise MissingDataError(
                f"{task.title}: there is no {place / name}: put the official GLUE file there, or "
                f"give no data folder, to read {HUB} from the Hub"
            )
    return {split: _file_rows(task, place / name) for split, name in task.files}, str(place)


def from_hub(task: GlueTask, *, revision: str | None) -> tuple[Splits, str]:
    """Reads a task from the Hub, or from what `datasets` has cached of it.

    Args:
        task: The task.
        revision: The revision of the Hub's repository, or None for the newest.

    Returns:
        Split -> examples, and the repository with the commit that the revision stood for.

    Raises:
        MissingDataError: The Hub does not answer, or has no such revision.
    """
    import datasets

    try:
        splits = datasets.load_dataset(HUB, task.name, revision=revision)
    except Exception as error:
        reason = str(error).strip().partition("\n")[0]
        raise MissingDataError(
            f"{task.title}: {HUB} could not be read from the Hub ({reason}): give a folder of the "
            "official files with --data or SPARSEBENCH_DATA"
        ) from error
    commit = _commit(splits["train"]) or revision or "unknown"
    return {name: _hub_rows(task, name, splits[name]) for name, _ in task.files}, f"{HUB}@{commit}"


def _file_rows(task: GlueTask, file: Path) -> Iterator[RawExample]:
    columns = (*(task.columns or task.fields), task.label_column)
    rows = read_tsv(file, columns=columns, header=task.header, skip_short=task.skip_short)
    return ((f"{file}:{line}", *values) for line, values in rows)


def _hub_rows(task: GlueTask, split: str, rows: Dataset) -> Iterator[RawExample]:
    columns = [rows[column] for column in (*task.fields, "label")]
    for place, values in enumerate(zip(*columns, strict=True)):
        yield f"{HUB} {task.name}, {split}[{place}]", *values


def _commit(rows: Dataset) -> str | None:
    """Finds the commit in the addresses of the downloaded files."""
    for address in rows.info.download_checksums or {}:
        if found := re.search(r"@([0-9a-f]{40})/", address):
            return found[1]
    return None
