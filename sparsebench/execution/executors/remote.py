"""A run on another machine: made there as it would be made here, and sent back file by file."""

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
from sparsebench.results.store import Store
from sparsebench.results.stored_run import RESULT, read_result
from sparsebench.version import __version__

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sparsebench.execution.job import Job

Files = dict[str, bytes]
"""Place in the folder of a run -> content."""


def check_version(version: str) -> None:
    """Refuses to make runs that another version of the package has planned.

    Raises:
        UserError: It is another.
    """
    if version != __version__:
        raise UserError(
            f"sparsebench {__version__} is installed on {os.uname().nodename}, and {version} "
            "where the runs were planned: install the same"
        )


def make(job: Job, *, device: str, scratch: str, folder: str, version: str, gpus: int = 1) -> Files:
    """Makes one run on this machine, and returns the files of its result.

    Args:
        job: The run.
        device: ``cpu``, ``cuda:N``, or ``cuda`` for several.
        scratch: The name of a folder for temporary files here; the same for a second try, which
            then goes on from the checkpoints of the first.
        folder: The working directory of who planned it, which is taken where it is there too.
        version: The version of the package that planned it.
        gpus: GPUs that train it together.

    Raises:
        UserError: It cannot be made here.
    """
    check_version(version)
    with suppress(OSError):
        os.chdir(folder)
    root = Path(tempfile.gettempdir()) / scratch
    executor = one_at_a_time(device=device, gpus=gpus)
    executor.run([replace(job, store=root, replaces=None)], lambda _: None)
    made = Store(root).folder(job.spec)
    files = {
        file.relative_to(made).as_posix(): file.read_bytes()
        for file in made.rglob("*")
        if file.is_file()
    }
    shutil.rmtree(made)
    for parent in (root / ".work", root / ".staging", root):  # as far as nothing else is in them
        with suppress(OSError):
            parent.rmdir()
    return files


def keep(job: Job, files: Mapping[str, bytes]) -> None:
    """Writes the result of a run that was made elsewhere.

    Raises:
        UserError: The folder cannot be written, or what came is no result.
    """
    store = Store(job.store)
    received = store.work_folder(job.spec) / "received"
    shutil.rmtree(received, ignore_errors=True)
    try:
        for name, content in files.items():
            place = PurePosixPath(name)
            if place.is_absolute() or ".." in place.parts:
                raise UserError(f"{job.spec.title}: a file {name!r} came with its result")
            file = received / place
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(content)
    except OSError as error:
        raise UserError(f"{received}: cannot be written ({error.strerror})") from error
    result = read_result(received / RESULT)
    lines = files.get(PREDICTIONS, b"").decode().splitlines()
    deployed = received / "deployed"
    store.write(
        result,
        predictions=[json.loads(line) for line in lines],
        keep={"deployed": deployed} if deployed.is_dir() else {},
    )
