"""Compare stored references with those of the data set, where its files are at hand."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any

from sparsebench.errors import UserError
from sparsebench.tasks import TASKS, DataSource
from sparsebench.tasks.loading import load_data

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from sparsebench.results.predictions import Predictions
    from sparsebench.results.records import RunResult
    from sparsebench.tasks.base import TaskData


class OwnData:
    """The data sets that are at hand: those in a folder, and those that need no files.

    Args:
        folder: A folder in the official file formats; None for none.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._load = cache(self._read)
        self._references = cache(self._read_references)

    def missing(self, result: RunResult) -> str | None:
        """Return why the data of a run is not at hand, or None if it is."""
        spec = result.spec
        found = self._load(spec.task)
        if isinstance(found, str):
            return found
        if found.fingerprint != spec.data_fingerprint:
            return (
                f"the data at hand has the fingerprint {found.fingerprint[:8]}, that of the run is "
                f"{spec.data_fingerprint[:8]}"
            )
        return None

    def faults(self, result: RunResult, predictions: Mapping[str, Predictions]) -> Iterator[str]:
        """Yield where the examples of a run are not those of its data set.

        Args:
            result: A run whose data is at hand.
            predictions: Its predictions and references, split by split.
        """
        own = self._references(result.spec.task)
        for split, stored in predictions.items():
            if split not in own:
                yield f"the data set has no split {split!r}"
                continue
            ids, references = own[split]
            if stored.ids != ids:
                yield f"its examples of {split} are not those of the data set"
                continue
            wrong = [
                place
                for place, (found, right) in enumerate(
                    zip(stored.references, references, strict=True)
                )
                if found != right
            ]
            if wrong:
                yield (
                    f"{len(wrong)} of its {len(ids)} references of {split} are not those of the "
                    f"data set, the first with the id {ids[wrong[0]]!r}"
                )

    def _read(self, task: str) -> TaskData | str:
        try:
            if self._folder is None and TASKS.get(task).official_files():
                return "no --data"
            return load_data(task, DataSource(folder=self._folder))
        except UserError as error:
            return str(error)

    def _read_references(self, task: str) -> dict[str, tuple[tuple[str, ...], list[Any]]]:
        """Return the identifiers and references of each split, as JSON would store them."""
        loaded = self._load(task)
        if isinstance(loaded, str):
            raise UserError(loaded)
        return {
            split: (
                tuple(examples["id"]),
                json.loads(json.dumps(list(TASKS.get(task).references(examples)))),
            )
            for split, examples in loaded.evaluation.items()
        }
