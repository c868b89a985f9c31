"""A packed set of results: one Parquet file with a row for each run, beside or instead of folders.

    results/reference/runs.parquet
        folder          the name of the run's folder
        result          result.json, byte for byte
        checksums       SHA256SUMS, byte for byte
        predictions     the predictions of predictions.jsonl, as JSON, one a line
        examples        the rest of predictions.jsonl, with a zero byte in place of each prediction

Runs on the same data have the same examples, which are stored once. Where ``predictions.jsonl``
cannot be taken apart so, ``examples`` is the whole of it, and ``predictions`` is null.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from sparsebench.errors import UserError
from sparsebench.results.checksums import CHECKSUMS
from sparsebench.results.predictions import (
    PREDICTIONS,
    CorruptPredictionsError,
    Examples,
    cut_predictions,
    join_predictions,
    parse_lines,
    parse_predictions,
)
from sparsebench.results.stored_run import RESULT, StoredRun

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from sparsebench.results.predictions import Predictions

PACKED = "runs.parquet"

FILES = (RESULT, CHECKSUMS, PREDICTIONS)
"""The files of a run that can be packed."""

_VERSION = (b"sparsebench.packed", b"1")
"""Key and value in the metadata of the file."""

_COLUMNS = {
    "folder": "string",
    "result": "binary",
    "checksums": "binary",
    "predictions": "binary",
    "examples": "binary",
}
_GROUP = 64 * 2**20
"""Bytes of runs that are written, and read, as one row group."""

_LARGEST_GROUP = 2 * 2**30
_MOST_RUNS = 1_000_000
"""Limits beyond which a file is refused before anything of it is read."""

_NAME = re.compile(r"[A-Za-z0-9_+][A-Za-z0-9._+-]{0,254}")


class CorruptPackError(UserError):
    """A packed set of results that is not what ``sparsebench pack`` wrote."""


class PackedRun(StoredRun):
    """A run in a packed set."""

    def __init__(self, packed: PackedResults, name: str) -> None:
        super().__init__(packed.file / name)
        self._packed = packed

    def read(self, file: str) -> bytes | None:
        """Restore one of its files."""
        return self._packed.read(self.name, file)

    def has(self, file: str) -> bool:
        """Whether it has a file, without restoring it."""
        return self._packed.has(self.name, file)

    def predictions(self) -> dict[str, Predictions]:
        """Read its predictions from the columns, without restoring their file."""
        try:
            return self._packed.predictions(self.name)
        except ValueError as error:
            place = self.folder / PREDICTIONS
            raise CorruptPredictionsError(f"{place}: no readable predictions ({error})") from None


class PackedResults(Mapping[str, PackedRun]):
    """The runs of a packed set, by the name of their folder.

    Args:
        file: The Parquet file.

    Raises:
        CorruptPackError: It is not a packed set that this version reads.
    """

    def __init__(self, file: Path) -> None:
        self.file = file
        self._parquet = _open(file)
        self._texts: dict[str, tuple[bytes, bytes | None]] = {}
        self._group_of: dict[str, int] = {}
        for group in range(self._parquet.num_row_groups):
            for name, result, checksums in self._read(group, "folder", "result", "checksums"):
                self._add(name, result, checksums, group)
        self._group = lru_cache(maxsize=4)(self._load_group)
        self._examples = lru_cache(maxsize=64)(Examples)

    def __getitem__(self, name: str) -> PackedRun:
        """Return a run."""
        if name not in self._texts:
            raise KeyError(name)
        return PackedRun(self, name)

    def __iter__(self) -> Iterator[str]:
        """Yield the names of the folders, in the order they are stored."""
        return iter(self._texts)

    def __len__(self) -> int:
        """Return the number of runs."""
        return len(self._texts)

    def has(self, name: str, file: str) -> bool:
        """Whether a run has a file."""
        if file == PREDICTIONS:
            return self._group(self._group_of[name])[name][1] is not None
        return self.read(name, file) is not None

    def read(self, name: str, file: str) -> bytes | None:
        """Restore a file of a run; None where the run has no such file."""
        if file in (RESULT, CHECKSUMS):
            return self._texts[name][file == CHECKSUMS]
        if file != PREDICTIONS:
            return None
        predictions, examples = self._group(self._group_of[name])[name]
        return None if examples is None else join_predictions(examples, predictions)

    def predictions(self, name: str) -> dict[str, Predictions]:
        """Read the predictions of a run.

        Raises:
            ValueError: They are absent or not a table of predictions.
        """
        predictions, examples = self._group(self._group_of[name])[name]
        if examples is None:
            raise ValueError("there are none")
        if predictions is not None:
            try:
                return self._examples(examples).answered(parse_lines(predictions))
            except ValueError:
                pass  # a value that looks like two, or is none: read the file as a whole
        return parse_predictions(join_predictions(examples, predictions))

    def _add(self, name: str | None, result: bytes | None, checksums: Any, group: int) -> None:
        if name is None or result is None:
            raise self._corrupt("a row has no folder or no result")
        if not _NAME.fullmatch(name):
            raise self._corrupt(f"{name[:80]!r} is not the name of a run's folder")
        if name in self._texts:
            raise self._corrupt(f"{name} is there twice")
        self._texts[name] = (result, checksums)
        self._group_of[name] = group

    def _load_group(self, group: int) -> dict[str, tuple[bytes | None, bytes | None]]:
        """Read the predictions of the runs of a row group, and their examples."""
        rows = self._read(group, "folder", "predictions", "examples")
        return {name: (predictions, examples) for name, predictions, examples in rows}

    def _read(self, group: int, *columns: str) -> list[tuple[Any, ...]]:
        import pyarrow as pa

        try:
            table = self._parquet.read_row_group(group, columns=list(columns), use_threads=False)
            table.validate(full=True)
            values = [_values(table.column(name)) for name in columns]
        except (pa.ArrowException, OSError, ValueError, IndexError) as error:
            raise self._corrupt(str(error)) from None
        return list(zip(*values, strict=True))

    def _corrupt(self, reason: str) -> CorruptPackError:
        return _corrupt(self.file, reason)


def open_packed(root: Path) -> Mapping[str, PackedRun]:
    """Open the packed set of a results folder; without one, there are no runs in it.

    Raises:
        CorruptPackError: There is one that this version does not read.
    """
    file = root / PACKED
    try:
        found = file.stat()
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise UserError(f"{file}: cannot be read ({error.strerror})") from error
    return _opened(file, (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns))


@lru_cache(maxsize=4)
def _opened(file: Path, version: tuple[int, ...]) -> PackedResults:  # noqa: ARG001 - of the file
    return PackedResults(file)


def write_packed(file: Path, runs: Sequence[StoredRun]) -> None:
    """Write a packed set.

    Args:
        file: Where to; it is not written atomically.
        runs: The runs, in the order of their names, with no other files than ``FILES``.
    """
    from pyarrow import parquet

    with parquet.ParquetWriter(
        file,
        _schema(),
        compression="zstd",
        compression_level=9,
        use_dictionary=["examples"],
        dictionary_pagesize_limit=_GROUP,
        write_page_checksum=True,
    ) as writer:
        for batch in _batches(runs):
            writer.write_batch(batch)
    with file.open("rb+") as stream:
        os.fsync(stream.fileno())


def _batches(runs: Iterable[StoredRun]) -> Iterator[Any]:
    """Yield the rows of runs, about ``_GROUP`` bytes at a time."""
    import pyarrow as pa

    rows: list[dict[str, Any]] = []
    size = 0
    for run in runs:
        content = {file: run.read(file) for file in FILES}
        row = run.name, content[RESULT], content[CHECKSUMS], *cut_predictions(content[PREDICTIONS])
        rows.append(dict(zip(_COLUMNS, row, strict=True)))
        size += sum(len(part or b"") for part in content.values())
        if size >= _GROUP:
            yield pa.RecordBatch.from_pylist(rows, schema=_schema())
            rows, size = [], 0
    if rows:
        yield pa.RecordBatch.from_pylist(rows, schema=_schema())


def _schema() -> Any:
    import pyarrow as pa

    types = {"string": pa.string(), "binary": pa.binary()}
    fields = [pa.field(name, types[kind]) for name, kind in _COLUMNS.items()]
    return pa.schema(fields, metadata=dict([_VERSION]))


def _open(file: Path) -> Any:
    """Open a Parquet file and check all that can be checked before a row is read."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        if not stat.S_ISREG(file.stat().st_mode):
            raise _corrupt(file, "it is not a regular file")
        metadata = parquet.read_metadata(file)
        schema = metadata.schema.to_arrow_schema()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise _corrupt(file, str(error)) from None
    version = (schema.metadata or {}).get(_VERSION[0])
    if version != _VERSION[1]:
        found = "no version" if version is None else f"version {version.decode(errors='replace')!r}"
        raise _corrupt(file, f"{found}, but this sparsebench reads {_VERSION[1].decode()}")
    if [(field.name, str(field.type)) for field in schema] != list(_COLUMNS.items()):
        raise _corrupt(file, f"its columns are not {', '.join(_COLUMNS)}")
    groups = [metadata.row_group(group) for group in range(metadata.num_row_groups)]
    if metadata.num_rows > _MOST_RUNS or any(g.total_byte_size > _LARGEST_GROUP for g in groups):
        raise _corrupt(file, "it is larger than any packed set")
    return parquet.ParquetFile(
        file,
        metadata=metadata,
        read_dictionary=["examples"],
        page_checksum_verification=True,
    )


def _corrupt(file: Path, reason: str) -> CorruptPackError:
    reason = " ".join(reason.split())[:300]
    return CorruptPackError(f"{file}: not a packed set of results ({reason})")


def _values(column: Any) -> list[Any]:
    """Return the values of a column; equal values of a dictionary are one object."""
    values: list[Any] = []
    for chunk in column.chunks:
        if hasattr(chunk, "dictionary"):
            words = chunk.dictionary.to_pylist()
            values += [None if at is None else words[at] for at in chunk.indices.to_pylist()]
        else:
            values += chunk.to_pylist()
    return values
