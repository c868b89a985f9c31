"""Write an offline bundle: the data and the models of a suite in one folder."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from sparsebench.errors import UserError
from sparsebench.models import model_source
from sparsebench.models.bundle import (
    MANIFEST,
    Bundle,
    BundledModel,
    BundledTask,
    read_bundle,
)
from sparsebench.models.sources import FILES, IN_PACKAGE
from sparsebench.results.checksums import CHECKSUMS, checksums_text, folder_hashes
from sparsebench.tasks.loading import load_data, write_data

if TYPE_CHECKING:
    from collections.abc import Callable

    from sparsebench.suite import Suite
    from sparsebench.tasks import DataSource


def fetch(
    suite: Suite, *, data: DataSource, to: Path, say: Callable[[str], None] = lambda _: None
) -> Bundle:
    """Write a bundle atomically.

    Args:
        suite: The suite whose tasks and models to copy.
        data: The source of the data.
        to: The folder to create.
        say: Called with the name of each part before it is copied.

    Raises:
        UserError: A part cannot be loaded, or the folder is not empty or cannot be written.
    """
    if to.exists() and (not to.is_dir() or any(to.iterdir())):
        raise UserError(f"{to}: exists and is not empty; name a new folder")
    try:
        to.parent.mkdir(parents=True, exist_ok=True)
        new = Path(tempfile.mkdtemp(prefix=f".{to.name}.", dir=to.parent))
    except OSError as error:
        raise UserError(f"{to}: cannot be created ({error.strerror})") from None
    try:
        bundle = Bundle(
            suite=suite.name,
            models=_models(suite, new, say),
            tasks=_tasks(suite, new, data=data, say=say),
        )
        (new / MANIFEST).write_text(bundle.model_dump_json(indent=1) + "\n", encoding="utf-8")
        (new / CHECKSUMS).write_text(checksums_text(folder_hashes(new)), encoding="utf-8")
        read_bundle(new)  # fails if a reader would refuse it
        new.chmod(0o755)
        new.rename(to)
    except OSError as error:
        raise UserError(f"{to}: cannot be written ({error.strerror or error})") from error
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return bundle


def _models(suite: Suite, new: Path, say: Callable[[str], None]) -> dict[str, BundledModel]:
    """Copy the backbones that are not part of the package."""
    models: dict[str, BundledModel] = {}
    for spec in suite.models:
        source = model_source(spec)
        folder = None if spec.startswith(IN_PACKAGE) else source.folder()
        if folder is None:
            continue
        say(spec)
        place = f"models/{len(models)}"
        (new / place).mkdir(parents=True)
        for pattern in FILES:
            for file in folder.glob(pattern):
                shutil.copyfile(file, new / place / file.name)
        models[spec] = BundledModel(name=source.name, fingerprint=source.fingerprint, folder=place)
    return models


def _tasks(
    suite: Suite, new: Path, *, data: DataSource, say: Callable[[str], None]
) -> dict[str, BundledTask]:
    tasks: dict[str, BundledTask] = {}
    for name in suite.tasks:
        say(name)
        loaded = load_data(name, data)
        place = f"data/{name}"
        write_data(loaded, new / place)
        tasks[name] = BundledTask(
            fingerprint=loaded.fingerprint,
            origin=loaded.origin,
            folder=place,
            evaluation=tuple(loaded.evaluation),
        )
    return tasks
