"""Pack the runs of a results folder into one file, and unpack them, without losing a byte."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from sparsebench.errors import UserError
from sparsebench.results.packed import FILES, PACKED, PackedResults, write_packed
from sparsebench.results.store import RETIRED, Store
from sparsebench.results.stored_run import RESULT, CorruptResultError, FolderRun

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sparsebench.results.stored_run import StoredRun


_PREFIX = "pack."


@dataclass(frozen=True)
class Packing:
    """The outcome of packing or unpacking.

    Attributes:
        runs: The names of the runs that are packed now, or were unpacked.
        kept: Name of a run that stays a folder -> the reason.
        bytes_before: Bytes of the files of the runs, unpacked.
        bytes_after: Bytes of the packed file.
    """

    runs: tuple[str, ...]
    kept: dict[str, str]
    bytes_before: int
    bytes_after: int


def pack(root: Path) -> Packing:
    """Pack the runs of a results folder, together with those that are packed already.

    A folder is removed only after its files were read back from the packed file. One that holds
    more than a result, or no readable one, stays.

    Raises:
        UserError: There is nothing to pack, or the folder cannot be written.
    """
    store = Store(root)
    runs, kept = [], {}
    for run in store.runs():
        if reason := _obstacle(run):
            kept[run.name] = reason
        else:
            runs.append(run)
    if not runs:
        raise UserError(f"{root}: there are no runs to pack in it")
    file, staging = root / PACKED, root / ".staging"
    with _writing(root):
        staging.mkdir(exist_ok=True)
        with _temporary(staging) as new:
            write_packed(new / PACKED, runs)
            written = PackedResults(new / PACKED)
            size = sum(_compare(run, written[run.name]) for run in runs)
            os.replace(new / PACKED, file)  # noqa: PTH105 - Path.replace does the same
        for run in runs:
            if isinstance(run, FolderRun):
                _remove(run, staging, written[run.name])
        with suppress(OSError):  # others may write there
            staging.rmdir()
    return Packing(tuple(run.name for run in runs), kept, size, file.stat().st_size)


def unpack(root: Path) -> Packing:
    """Write a folder for every packed run that has none, and remove the packed file.

    Raises:
        UserError: There is no packed file, it cannot be read, or the folder cannot be written.
    """
    file, staging = root / PACKED, root / ".staging"
    if not file.exists():
        raise UserError(f"{root}: there is no {PACKED} in it")
    packed, size, kept = PackedResults(file), file.stat().st_size, {}
    names, total = [], 0
    with _writing(root):
        staging.mkdir(exist_ok=True)
        for name, run in packed.items():
            if (root / name / RESULT).is_file():
                kept[name] = "it has a folder, which is the later one"
                continue
            with _temporary(staging) as new:
                total += _write(run, new / name)
                (new / name).rename(root / name)
            names.append(name)
        file.unlink()
        with suppress(OSError):  # others may write there
            staging.rmdir()
    return Packing(tuple(names), kept, total, size)


def _obstacle(run: StoredRun) -> str | None:
    """Return why a run cannot be packed, or None."""
    try:
        run.result()
    except CorruptResultError as error:
        return str(error)
    if not isinstance(run, FolderRun):
        return None
    if run.folder.is_symlink():
        return "it is a link"
    for file in sorted(run.folder.iterdir()):
        if file.name not in FILES:
            return f"{file.name} is beside its result; a packed run has no model"
        if file.is_symlink() or not file.is_file():
            return f"{file.name} is not a regular file"
    return None


def _compare(run: StoredRun, packed: StoredRun) -> int:
    """Check that a packed run restores every file; return their size in bytes.

    Raises:
        UserError: A file differs: it was changed meanwhile.
    """
    size = 0
    for file in FILES:
        content = run.read(file)
        if packed.read(file) != content:
            raise UserError(f"{run.folder / file}: it was changed while it was packed; try again")
        size += len(content or b"")
    return size


def _remove(run: FolderRun, staging: Path, packed: StoredRun) -> None:
    """Remove the folder of a packed run, unless a later result has taken its place.

    It is first moved to where the store would bring it back from, were we killed now.
    """
    with _temporary(staging) as doomed, suppress(FileNotFoundError):  # others may do the same
        retired = staging / f"{run.name}.{doomed.name.removeprefix(_PREFIX)}{RETIRED}"
        run.folder.rename(retired)
        if all(FolderRun(retired).read(file) == packed.read(file) for file in FILES):
            retired.rename(doomed / run.name)
        else:
            retired.rename(run.folder)


@contextmanager
def _temporary(staging: Path) -> Iterator[Path]:
    """Make a folder for the time of a step."""
    folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=staging))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _writing(root: Path) -> Iterator[None]:
    """Turn errors of writing below a folder into one message."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{root}: cannot be written ({error.strerror or error})") from error


def _write(run: StoredRun, folder: Path) -> int:
    """Write the files of a run; return their size in bytes."""
    folder.mkdir()
    size = 0
    for name in FILES:
        content = run.read(name)
        if content is None:
            continue
        with (folder / name).open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        size += len(content)
    return size
