"""The folder that keeps results: one folder a run, which appears whole or not at all.

A run is written under ``.staging`` and then renamed into place. An older result of the same run is
first moved to ``.staging``, and is moved back if the process is killed in between. Several
processes may read and write one folder at a time: of two results of one run, the later one stays.

    results/
        .staging/                                   results that are being written
        .costs/                                     costs that runs of the same shapes share
        .work/<run>/                                checkpoints of unfinished runs
        mrpc--minilm-l6-h384--lora--s1--3f2a9c1b/
            result.json                             a RunResult
            predictions.jsonl                       one prediction an example
            SHA256SUMS                              the digests of both when they were written
        runs.parquet                                packed runs: see packed.py

Where a run has a folder and is packed too, the folder is read: it is the later one.
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

from sparsebench.errors import UserError
from sparsebench.results.checksums import CHECKSUMS, checksums_text, file_hash, folder_hashes
from sparsebench.results.free_texts import clean_record
from sparsebench.results.packed import open_packed
from sparsebench.results.predictions import PREDICTIONS
from sparsebench.results.stored_run import RESULT, CorruptResultError, FolderRun

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from sparsebench.results.predictions import Predictions
    from sparsebench.results.records import RunResult
    from sparsebench.results.stored_run import StoredRun
    from sparsebench.schema.spec import RunSpec

RETIRED = ".retired"
"""The ending of folders in ``.staging`` that are moved back if their replacement never comes."""

COSTS = ".costs"
"""The folder of costs that runs share. It can be deleted at any time."""

_STALE = 24 * 3600
"""Seconds after which a folder in ``.staging`` was left by a process that was killed."""

_USUAL = {"calibration": "counted", "pad_to_max_length": False, "label_smoothing": 0.0}
"""Terms of training that were added later -> the value that leaves a run's key as it was."""

_TAKEN = (errno.EEXIST, errno.ENOTEMPTY)
"""The errors of renaming onto a folder that is not empty."""


def run_key(spec: RunSpec) -> str:
    """Return the content key of a run: 16 hexadecimal digits of the hash of its spec.

    Settings that change no score do not count: where progress is reported, and how often a
    checkpoint is saved; nor do absent terms of generation, a pooler that was pretrained, the lack
    of a teacher, nor terms of training that have the value which they had before there was a
    choice.
    """
    usual = {term for term, value in _USUAL.items() if getattr(spec.training, term) == value}
    idle: dict[str, Any] = {"training": {"report_to", "checkpoint_every", *usual}}
    if spec.generation is None:
        idle["generation"] = True
    idle |= {name: True for name in ("pooler", "teacher") if getattr(spec, name) is None}
    content = json.dumps(spec.model_dump(mode="json", exclude=idle), sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def folder_name(spec: RunSpec) -> str:
    """Return the name of a run's folder: readable, safe in a path, unique by its key."""
    parts = (spec.task, spec.model, spec.method.label, f"s{spec.seed}", run_key(spec)[:8])
    safe = (re.sub(r"[^A-Za-z0-9.+_]+", "-", part).strip("-.")[:48] for part in parts)
    return "--".join(part or "_" for part in safe)


class Store:
    """The results under one folder.

    Args:
        root: The folder; it is created when the first result is written.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._recover()

    def runs(self) -> list[StoredRun]:
        """Return every stored run, in the order of the names of their folders.

        Raises:
            CorruptPackError: The packed set cannot be read.
        """
        folders = [file.parent for file in self.root.glob(f"*/{RESULT}")]
        found: dict[str, StoredRun] = dict(open_packed(self.root))
        found |= {path.name: FolderRun(path) for path in folders if not path.name.startswith(".")}
        return [found[name] for name in sorted(found)]

    def __iter__(self) -> Iterator[RunResult]:
        """Yield every result, in the order of the names of their folders.

        Raises:
            CorruptResultError: One of them cannot be read.
        """
        return (run.result() for run in self.runs())

    def run(self, spec: RunSpec) -> StoredRun | None:
        """Return the stored run of a spec, or None where there is none."""
        folder = self.folder(spec)
        if (folder / RESULT).is_file():
            return FolderRun(folder)
        return open_packed(self.root).get(folder.name)

    def find(self, spec: RunSpec) -> RunResult | None:
        """Return the result of a run, or None where there is none.

        Raises:
            CorruptResultError: It cannot be read, or is the result of another run.
        """
        run = self.run(spec)
        if run is None:
            return None
        try:
            result = run.result()
        except CorruptResultError as error:
            raise CorruptResultError(
                f"{error}; remove its folder, and the same command runs it again"
            ) from None
        if result.key != run_key(spec):
            place = run.folder / RESULT
            raise CorruptResultError(f"{place}: the result of another run ({result.spec.title})")
        return result

    def predictions(self, result: RunResult) -> dict[str, Predictions] | None:
        """Return the predictions of a run, split by split, or None where none are stored.

        Raises:
            CorruptPredictionsError: They cannot be read.
        """
        run = self.run(result.spec)
        if run is None or PREDICTIONS not in result.files or not run.has(PREDICTIONS):
            return None
        return run.predictions()

    def folder(self, spec: RunSpec) -> Path:
        """Return the folder of a run, whether it exists or not."""
        return self.root / folder_name(spec)

    def stamp(self, spec: RunSpec) -> str | None:
        """Return a text that differs between two stored results of one run; None without one.

        Raises:
            UserError: The folder cannot be read.
        """
        folder = self.folder(spec)
        try:
            found = (folder / RESULT).stat()
        except (FileNotFoundError, NotADirectoryError):
            packed = open_packed(self.root).get(folder.name)
            return None if packed is None else packed.digest(RESULT)
        except OSError as error:
            raise UserError(f"{self.root}: cannot be read ({error.strerror})") from error
        return f"{found.st_ino}-{found.st_mtime_ns}"

    def work_folder(self, spec: RunSpec) -> Path:
        """Return the folder for the checkpoints of an unfinished run."""
        return self.root / ".work" / folder_name(spec)

    def write(
        self,
        result: RunResult,
        *,
        predictions: Iterable[Mapping[str, Any]] = (),
        keep: Mapping[str, Path] | None = None,
    ) -> Path:
        """Write a result in place of any older one of the same run.

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
                f"{self.root}: cannot write a result ({error.strerror or error}); stored results "
                "are untouched, and the same command resumes from them"
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
            record = clean_record(result).model_copy(update={"files": files})
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
        """Rename a whole result into place, after moving an older one away."""
        final, retired = self.root / name, new.with_name(new.name + RETIRED)
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
        """Move back results whose replacement never came, and clear what is stale.

        Raises:
            UserError: One cannot be put back.
        """
        for folder in sorted((self.root / ".staging").glob("*.*")):
            final = self.root / folder.name.removesuffix(RETIRED).rpartition(".")[0]
            is_retired = folder.name.endswith(RETIRED)
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


def _write_file(file: Path, content: str) -> str:
    data = content.encode(errors="backslashreplace")  # half of a surrogate pair, as JSON escapes it
    with file.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
    return hashlib.sha256(data).hexdigest()
