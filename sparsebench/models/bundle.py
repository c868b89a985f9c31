"""Offline bundles: the data and the models of a suite in one folder, for where there is no network.

    bundle/
        bundle.json             what is in it: models by the name users write, tasks, where from
        SHA256SUMS              what every file was when it was fetched
        models/0/               a backbone in the format of ``save_pretrained``
        data/mrpc/train.parquet

A process uses the bundle that ``SPARSEBENCH_BUNDLE`` names, and so do those that it starts.
"""

from __future__ import annotations

import os
import socket
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from sparsebench.errors import UserError, suggestion
from sparsebench.results.checksums import CHECKSUMS, changed_files, read_checksums
from sparsebench.schema.base import FrozenModel

VARIABLE = "SPARSEBENCH_BUNDLE"
MANIFEST = "bundle.json"

_SILENT = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE")


class BundledModel(FrozenModel):
    """A backbone in a bundle."""

    name: str
    """What tables call it."""

    fingerprint: str
    folder: str
    """Where it is in the bundle."""


class BundledTask(FrozenModel):
    """The examples of a task in a bundle."""

    fingerprint: str
    origin: str
    """Where they came from, with the resolved revision."""

    folder: str
    """Where they are in the bundle."""

    evaluation: tuple[str, ...]
    """The reported splits, in order; there is a file for each, and ``train.parquet``."""


class Bundle(FrozenModel):
    """What is in a bundle."""

    suite: str
    models: dict[str, BundledModel]
    """What users write -> the backbone."""

    tasks: dict[str, BundledTask]

    def model(self, spec: str) -> BundledModel:
        """Returns a backbone.

        Raises:
            UserError: It is not in the bundle.
        """
        if spec not in self.models:
            raise UserError(f"model {spec!r} is not in the bundle{suggestion(spec, self.models)}")
        return self.models[spec]


def bundle_folder() -> Path | None:
    """Returns the folder of the bundle that this process uses, or None."""
    folder = os.environ.get(VARIABLE)
    return Path(folder) if folder else None


@cache
def read_bundle(folder: Path) -> Bundle:
    """Reads what is in a bundle.

    Raises:
        UserError: It is none, or a path in it leads out of it.
    """
    file = folder / MANIFEST
    try:
        bundle = Bundle.model_validate_json(file.read_bytes())
    except OSError as error:
        raise UserError(
            f"{folder}: no bundle ({error.strerror}); 'sparsebench fetch SUITE --to {folder}' "
            "makes one where there is a network"
        ) from None
    except ValidationError as error:
        raise UserError(f"{file}: not what 'fetch' writes ({error.errors()[0]['msg']})") from None
    parts: list[BundledModel | BundledTask] = [*bundle.models.values(), *bundle.tasks.values()]
    names = [part.folder for part in parts]
    names += [split for task in bundle.tasks.values() for split in task.evaluation]
    for name in names:
        if not (folder / name).resolve().is_relative_to(folder.resolve()):
            raise UserError(f"{file}: {name!r} leads out of the bundle")
    return bundle


def use_bundle(folder: Path) -> None:
    """Makes this process, and those that it starts, use a bundle and nothing else.

    Raises:
        UserError: It is none, or a file in it is not what was fetched.
    """
    folder = folder.resolve()
    read_bundle(folder)
    _check_files(folder)
    os.environ[VARIABLE] = str(folder)
    os.environ.update(dict.fromkeys(_SILENT, "1"))
    forbid_network()


def forbid_network() -> None:
    """Lets this process connect to no other machine."""

    def refuse(self: socket.socket, address: Any) -> Any:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            raise OSError(f"offline: no connection is made, not to {address!r}")
        return connect(self, address)

    connect = socket.socket.connect
    socket.socket.connect = refuse  # type: ignore[method-assign, assignment]


def _check_files(folder: Path) -> None:
    try:
        listed = read_checksums(folder)
        wrong = None if listed is None else changed_files(folder, listed)
    except (OSError, ValueError):
        wrong = None
    if wrong is None:
        file = folder / CHECKSUMS
        raise UserError(f"{file}: cannot be read, so the bundle cannot be trusted")
    if wrong:
        some = ", ".join(wrong[:3]) + (" and more" if len(wrong) > 3 else "")  # noqa: PLR2004
        raise UserError(f"{folder}: not what was fetched: {some}; fetch the bundle again")
