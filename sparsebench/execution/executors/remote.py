"""A run on another machine: executed there as it would be here, and sent back file by file."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from contextlib import suppress
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from sparsebench.errors import UserError
from sparsebench.execution.executors.local import one_at_a_time
from sparsebench.results.predictions import PREDICTIONS
from sparsebench.results.store import COSTS, Store
from sparsebench.results.stored_run import RESULT, read_result
from sparsebench.version import __version__

if TYPE_CHECKING:
    from sparsebench.execution.job import Job

Files = dict[str, bytes]
"""Place in the folder of a run -> content."""


class StoppedThereError(UserError):
    """A run was asked to stop on the other machine, where its checkpoint stays."""


def check_version(version: str) -> None:
    """Refuse runs that another version of the package has planned.

    Raises:
        UserError: It is another.
    """
    if version != __version__:
        raise UserError(
            f"sparsebench {__version__} is installed on {os.uname().nodename}, and {version} "
            "where the runs were planned: install the same"
        )


def sent_teacher(job: Job) -> str | None:
    """Return the folder of a teacher that must be sent along: one that another run has trained."""
    is_row = job.spec.teacher is not None and job.spec.teacher.row
    return job.teacher.source if job.teacher and is_row else None


def folder_files(folder: Path) -> Files:
    """Return the files of a folder."""
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in folder.rglob("*")
        if file.is_file()
    }


def write_files(files: Files, folder: Path, *, of: str) -> None:
    """Write the files of a folder that another machine sent, in place of what was there.

    Raises:
        UserError: The folder cannot be written, or a file is not below it.
    """
    shutil.rmtree(folder, ignore_errors=True)
    try:
        for name, content in files.items():
            place = PurePosixPath(name)
            if place.is_absolute() or ".." in place.parts:
                raise UserError(f"{of}: a file {name!r} came with its result")
            file = folder / place
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error.strerror})") from error


def execute(
    job: Job,
    *,
    device: str,
    scratch: str,
    folder: str,
    version: str,
    gpus: int = 1,
    teacher: Files | None = None,
) -> Files:
    """Run one job on this machine, and return the files of its result.

    Args:
        job: The run.
        device: ``cpu``, ``cuda:N``, or ``cuda`` for several.
        scratch: The name of a folder for temporary files here; the same for a second attempt, which
            then resumes from the checkpoints of the first.
        folder: The working directory of the machine that planned it; used here too if it exists.
        version: The version of the package that planned it.
        gpus: GPUs that train it together.
        teacher: The files of the deployed model that it learns from, if another run trained it.

    Raises:
        UserError: It cannot run here.
        StoppedThereError: It was asked to stop here.
    """
    check_version(version)
    with suppress(OSError):
        os.chdir(folder)
    root = Path(tempfile.gettempdir()) / scratch
    executor = one_at_a_time(device=device, gpus=gpus)
    job = replace(job, store=root, replaces=None)
    received = root / ".teachers" / job.key
    if teacher is not None and job.teacher is not None:
        write_files(teacher, received, of=job.spec.title)
        job = replace(job, teacher=replace(job.teacher, source=str(received)))
    executor.run([job], lambda _: None)
    shutil.rmtree(received, ignore_errors=True)
    stored = Store(root).folder(job.spec)
    if not stored.is_dir():
        raise StoppedThereError(f"{job.spec.title}: stopped on {os.uname().nodename}")
    files = folder_files(stored)
    shutil.rmtree(stored)
    shutil.rmtree(root / COSTS, ignore_errors=True)
    for parent in (root / ".work", root / ".staging", received.parent, root):  # if they are empty
        with suppress(OSError):
            parent.rmdir()
    return files


def keep(job: Job, files: Files) -> None:
    """Write the result of a run that another machine sent.

    Raises:
        UserError: The folder cannot be written, or the files are no result.
    """
    store = Store(job.store)
    received = store.work_folder(job.spec) / "received"
    write_files(files, received, of=job.spec.title)
    result = read_result(received / RESULT)
    lines = files.get(PREDICTIONS, b"").decode().splitlines()
    deployed = received / "deployed"
    store.write(
        result,
        predictions=[json.loads(line) for line in lines],
        keep={"deployed": deployed} if deployed.is_dir() else {},
    )
