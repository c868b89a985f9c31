"""The two places that the examples of GLUE come from: the official files and the Hub."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from sparsebench.tasks.base import MissingDataError
from sparsebench.tasks.files import read_tsv
from sparsebench.tasks.hub import read_hub

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from datasets import Dataset

    from sparsebench.tasks.glue.task import GlueTask

HUB = "nyu-mll/glue"

RawExample: TypeAlias = "tuple[Any, ...]"
"""Where an example is, for messages; its texts; its label as the source writes it."""

Splits: TypeAlias = "dict[str, Iterator[RawExample]]"


def from_folder(
    task: GlueTask, folder: Path, *, without: tuple[str, ...] = ()
) -> tuple[Splits, str]:
    """Reads the official files of a task.

    Args:
        task: The task.
        folder: The folder that holds the task's one, itself or in a folder ``glue``.
        without: Splits to leave alone, whose files need not be there.

    Returns:
        Split -> examples, and the task's folder.

    Raises:
        MissingDataError: A file is not there.
    """
    places = [folder / task.folder, folder / "glue" / task.folder]
    place = next((place for place in places if place.is_dir()), places[0])
    files = [(split, name) for split, name in task.files if split not in without]
    for _, name in files:
        if not (place / name).is_file():
            raise MissingDataError(
                f"{task.title}: there is no {place / name}: put the official GLUE file there, or "
                f"give no data folder, to read {HUB} from the Hub"
            )
    return {split: _file_rows(task, place / name) for split, name in files}, str(place)


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
    splits, origin = read_hub(HUB, task.name, revision=revision, title=task.title)
    return {name: _hub_rows(task, name, splits[name]) for name, _ in task.files}, origin


def _file_rows(task: GlueTask, file: Path) -> Iterator[RawExample]:
    columns = (*(task.columns or task.fields), task.label_column)
    rows = read_tsv(file, columns=columns, header=task.header, skip_short=task.skip_short)
    return ((f"{file}:{line}", *values) for line, values in rows)


def _hub_rows(task: GlueTask, split: str, rows: Dataset) -> Iterator[RawExample]:
    columns = [rows[column] for column in (*task.fields, "label")]
    for place, values in enumerate(zip(*columns, strict=True)):
        yield f"{HUB} {task.name}, {split}[{place}]", *values
