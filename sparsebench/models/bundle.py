"""Offline bundles: the data and the models of a suite in one folder, to run without a network.

    bundle/
        bundle.json             the contents: models by the name users write, tasks, origins
        SHA256SUMS              the hash of every file when it was fetched
        models/0/               a backbone in the format of ``save_pretrained``
        data/mrpc/train.parquet

A process and its child processes use the bundle that ``SPARSEBENCH_BUNDLE`` names.
"""

from __future__ import annotations

import os
import socket
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from sparsebench.errors import UserError, suggestion
from sparsebench.results.checksums import CHECKSUMS, changed_files, read_checksums
from sparsebench.schema.base import FrozenModel

if TYPE_CHECKING:
    from collections.abc import Collection

VARIABLE = "SPARSEBENCH_BUNDLE"
MANIFEST = "bundle.json"

_SILENT = ("HF_HUB_OFFLINE", "HF_DATASETS_OFFLINE", "TRANSFORMERS_OFFLINE")


class BundledModel(FrozenModel):
    """A backbone in a bundle."""

    name: str
    """Its name in tables."""

    fingerprint: str
    folder: str
    """Its folder, relative to the bundle."""


class BundledTask(FrozenModel):
    """The examples of a task in a bundle."""

    fingerprint: str
    origin: str
    """Their source, with the resolved revision."""

    folder: str
    """Their folder, relative to the bundle."""

    evaluation: tuple[str, ...]
    """The reported splits, in order; there is a file for each, and ``train.parquet``."""


class Bundle(FrozenModel):
    """The contents of a bundle."""

    suite: str
    models: dict[str, BundledModel]
    """The name in a suite -> the backbone."""

    tasks: dict[str, BundledTask]

    def model(self, spec: str) -> BundledModel:
        """Return a backbone.

        Raises:
            UserError: It is not in the bundle.
        """
        if spec not in self.models:
            raise UserError(f"model {spec!r} is not in the bundle{suggestion(spec, self.models)}")
        return self.models[spec]


def bundle_folder() -> Path | None:
    """Return the folder of the bundle that this process uses, or None."""
    folder = os.environ.get(VARIABLE)
    return Path(folder) if folder else None


@cache
def read_bundle(folder: Path) -> Bundle:
    """Read the contents of a bundle.

    Raises:
        UserError: The folder is no bundle, or a path in it points outside it.
    """
    file = folder / MANIFEST
    try:
        bundle = Bundle.model_validate_json(file.read_bytes())
    except OSError as error:
        raise UserError(
            f"{folder}: no bundle ({error.strerror}); 'sparsebench fetch SUITE --to {folder}' "
            "creates one on a machine with a network"
        ) from None
    except ValidationError as error:
        raise UserError(f"{file}: not written by 'fetch' ({error.errors()[0]['msg']})") from None
    parts: list[BundledModel | BundledTask] = [*bundle.models.values(), *bundle.tasks.values()]
    names = [part.folder for part in parts]
    names += [split for task in bundle.tasks.values() for split in task.evaluation]
    for name in names:
        if not (folder / name).resolve().is_relative_to(folder.resolve()):
            raise UserError(f"{file}: {name!r} points outside the bundle")
    return bundle


def use_bundle(folder: Path) -> None:
    """Use a bundle, and nothing else, in this process and its child processes.

    Raises:
        UserError: The folder is no bundle, or a file in it changed since it was fetched.
    """
    folder = folder.resolve()
    read_bundle(folder)
    check_files(folder)
    os.environ[VARIABLE] = str(folder)
    os.environ.update(dict.fromkeys(_SILENT, "1"))
    forbid_network()


def forbid_network() -> None:
    """Refuse connections of this process to any other machine."""

    def refuse(self: socket.socket, address: Any) -> Any:
        if self.family in (socket.AF_INET, socket.AF_INET6):
            raise OSError(f"offline: the connection to {address!r} was refused")
        return connect(self, address)

    connect = socket.socket.connect
    socket.socket.connect = refuse  # type: ignore[method-assign, assignment]


def check_files(folder: Path, *, within: Collection[str] = ()) -> None:
    """Compare the files of a bundle with their checksums.

    Args:
        folder: The bundle.
        within: Folders in it to check; empty for all files.

    Raises:
        UserError: A file differs, or the checksums cannot be read.
    """
    try:
        listed = read_checksums(folder)
        if listed is not None and within:
            parts = tuple(f"{part}/" for part in within)
            listed = {name: digest for name, digest in listed.items() if name.startswith(parts)}
        wrong = None if listed is None else changed_files(folder, listed)
    except (OSError, ValueError):
        wrong = None
    if wrong is None:
        file = folder / CHECKSUMS
        raise UserError(f"{file}: cannot be read, so the bundle cannot be trusted")
    if wrong:
        some = ", ".join(wrong[:3]) + (" and more" if len(wrong) > 3 else "")  # noqa: PLR2004
        raise UserError(f"{folder}: changed since it was fetched: {some}; fetch the bundle again")
