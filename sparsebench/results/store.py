"""The folder that keeps results: one folder a run, which appears whole or not at all.

A run is written under ``.staging`` and then renamed into place. Where it replaces an older result,
that one steps aside under ``.staging`` first, and comes back if we are killed in between. Several
processes may read and write one folder at a time: of two results of one run, the later one stays.

    results/
        .staging/                                   what is being written
        .work/<run>/                                checkpoints of runs that are not finished
        mrpc--minilm-l6-h384--lora--s1--3f2a9c1b/
            result.json                             a RunResult
            predictions.jsonl                       one prediction an example
            SHA256SUMS                              what all were when they were written
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from sparsebench.errors import UserError
from sparsebench.results.checksums import CHECKSUMS, checksums_text, file_hash, folder_hashes
from sparsebench.results.free_texts import clean_result
from sparsebench.results.predictions import PREDICTIONS, Predictions, read_predictions
from sparsebench.results.records import SCHEMA_VERSION, RunResult

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sparsebench.schema.spec import RunSpec

RESULT = "result.json"
_RETIRED = ".retired"
_STALE = 24 * 3600
"""Seconds after which what lies in ``.staging`` was left by a process that was killed."""

_TAKEN = (errno.EEXIST, errno.ENOTEMPTY)
"""What renaming onto a folder fails with where that has content."""


class CorruptResultError(UserError):
    """A file of the store that is not what the store wrote."""


def run_key(spec: RunSpec) -> str:
    """Returns the content key of a run: 16 hexadecimal digits of the hash of its spec.

    What changes no score does not count: where progress is reported, and how often it is saved;
    nor do terms of generation that are not there.
    """
    idle: dict[str, Any] = {"training": {"report_to", "checkpoint_every"}}
    if spec.generation is None:
        idle["generation"] = True
    content = json.dumps(spec.model_dump(mode="json", exclude=idle), sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def folder_name(spec: RunSpec) -> str:
    """Returns the name of a run's folder: readable, safe in a path, unique by its key."""
    parts = (spec.task, spec.model, spec.method.label, f"s{spec.seed}", run_key(spec)[:8])
    safe = (re.sub(r"[^A-Za-z0-9.+_]+", "-", part).strip("-.")[:48] for part in parts)
    return "--".join(part or "_" for part in safe)


class Store:
    """The results under one folder.

    Args:
        root: The folder; it is made when the first result is written.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._recover()

    def find(self, spec: RunSpec) -> RunResult | None:
        """Returns the result of a run, or None where there is none.

        Raises:
            CorruptResultError: What is there cannot be read, or is the result of another run.
        """
        file = self.root / folder_name(spec) / RESULT
        if not file.is_file():
            return None
        try:
            result = read_result(file)
        except CorruptResultError as error:
            raise CorruptResultError(
                f"{error}; remove its folder, and the run is made again"
            ) from None
        if result.key != run_key(spec):
            raise CorruptResultError(f"{file}: the result of another run ({result.spec.title})")
        return result

    def predictions(self, result: RunResult) -> dict[str, Predictions] | None:
        """Returns what a run answered, split by split, or None where no predictions are stored.

        Raises:
            CorruptPredictionsError: They cannot be read.
        """
        file = self.folder(result.spec) / PREDICTIONS
        return read_predictions(file) if PREDICTIONS in result.files and file.is_file() else None

    def folder(self, spec: RunSpec) -> Path:
        """Returns the folder that holds, or will hold, the result of a run."""
        return self.root / folder_name(spec)

    def stamp(self, spec: RunSpec) -> str | None:
        """Returns what tells a stored result from any other of the same run; None if none is there.

        Raises:
            UserError: The folder cannot be read.
        """
        try:
            found = (self.root / folder_name(spec) / RESULT).stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise UserError(f"{self.root}: cannot be read ({error.strerror})") from error
        return f"{found.st_ino}-{found.st_mtime_ns}"

    def work_folder(self, spec: RunSpec) -> Path:
        """Returns the folder for the checkpoints of an unfinished run."""
        return self.root / ".work" / folder_name(spec)

    def __iter__(self) -> Iterator[RunResult]:
        """Yields every result, in the order of the names of their folders.

        Raises:
            CorruptResultError: One of them cannot be read.
        """
        return map(read_result, self.files())

    def files(self) -> list[Path]:
        """Returns the ``result.json`` of every run, in the order of the names of their folders."""
        files = self.root.glob(f"*/{RESULT}")
        return sorted(file for file in files if not file.parent.name.startswith("."))

    def write(
        self,
        result: RunResult,
        *,
        predictions: Iterable[Mapping[str, Any]] = (),
        keep: Mapping[str, Path] | None = None,
    ) -> Path:
        """Writes a result in place of any older one of the same run.

        Args:
            result: The result; ``files`` is filled in here.
            predictions: One row an example, with ``split``, ``id``, ``prediction``, ``reference``.
            keep: Name -> a file or folder to move in beside the result.

        Returns:
            The folder of the run.

        Raises:
            UserError: The folder cannot be written; what was there before is untouched.
        """
        try:
            return self._write(result, predictions=predictions, keep=keep or {})
        except OSError as error:
            raise UserError(
                f"{self.root}: cannot write a result ({error.strerror or error}); the results that "
                "are there are untouched, and the same command goes on from them"
            ) from error

    def _write(
        self,
        result: RunResult,
        *,
        predictions: Iterable[Mapping[str, Any]],
        keep: Mapping[str, Path],
    ) -> Path:
        name = folder_name(result.spec)
        staging = self.root / ".staging"
        staging.mkdir(parents=True, exist_ok=True)
        new = Path(tempfile.mkdtemp(prefix=f"{name}.", dir=staging))
        try:
            new.chmod(0o755)
            rows = [json.dumps(row, ensure_ascii=False) + "\n" for row in predictions]
            files = {PREDICTIONS: _write_file(new / PREDICTIONS, "".join(rows))} if rows else {}
            for target, source in keep.items():
                hashes = folder_hashes(source) if source.is_dir() else {"": file_hash(source)}
                files |= {f"{target}/{path}".rstrip("/"): hashes[path] for path in hashes}
            record = clean_result(result).model_copy(update={"files": files})
            digest = _write_file(new / RESULT, record.model_dump_json(indent=1) + "\n")
            _write_file(new / CHECKSUMS, checksums_text({RESULT: digest, **files}))
            for target, source in keep.items():  # last, so that a full disk costs no model
                shutil.move(source, new / target)
            self._swap_in(new, name=name)
        finally:
            shutil.rmtree(new, ignore_errors=True)
        shutil.rmtree(self.work_folder(result.spec), ignore_errors=True)
        return self.root / name

    def _swap_in(self, new: Path, *, name: str) -> None:
        """Renames a whole result into place, after what was there has stepped aside."""
        final, retired = self.root / name, new.with_name(new.name + _RETIRED)
        while True:
            with suppress(FileNotFoundError):  # nothing is there
                final.rename(retired)
            try:
                new.rename(final)
            except OSError as error:
                with suppress(OSError):
                    retired.rename(final)
                if error.errno not in _TAKEN:
                    raise
            else:
                break
            shutil.rmtree(retired, ignore_errors=True)  # another process has put a later one there
        shutil.rmtree(retired, ignore_errors=True)

    def _recover(self) -> None:
        """Puts back results that stepped aside for one that never came, and clears what is stale.

        Raises:
            UserError: One cannot be put back.
        """
        for folder in sorted((self.root / ".staging").glob("*.*")):
            final = self.root / folder.name.removesuffix(_RETIRED).rpartition(".")[0]
            is_retired = folder.name.endswith(_RETIRED)
            try:
                if is_retired and not final.exists():
                    folder.rename(final)
                elif is_retired or time.time() - folder.stat().st_mtime > _STALE:
                    shutil.rmtree(folder, ignore_errors=True)
            except FileNotFoundError:
                continue  # its writer is alive and has moved it
            except OSError as error:
                if error.errno not in _TAKEN:
                    raise UserError(
                        f"{folder}: a result that belongs at {final} and cannot be moved there "
                        f"({error.strerror or error}); move it by hand"
                    ) from error


def read_result(file: Path) -> RunResult:
    """Reads one ``result.json``.

    Raises:
        CorruptResultError: It is not one, or of a schema that this version does not read.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        version = content.get("schema_version") if isinstance(content, dict) else None
        if version != SCHEMA_VERSION:
            raise CorruptResultError(
                f"{file}: schema version {version!r}, but this sparsebench reads {SCHEMA_VERSION}"
            )
        return RunResult.model_validate(content)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise CorruptResultError(f"{file}: {place}: {first['msg']}") from None
    except (OSError, ValueError, RecursionError) as error:
        raise CorruptResultError(f"{file}: not a readable result ({error})") from None


def _write_file(file: Path, content: str) -> str:
    data = content.encode(errors="backslashreplace")  # half of a surrogate pair, as JSON escapes it
    with file.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    return hashlib.sha256(data).hexdigest()
