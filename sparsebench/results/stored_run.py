"""One stored run: a folder of files, or a row of a packed set, read in the same way.

Its files are ``result.json`` (a RunResult), ``predictions.jsonl`` (one row an example) and
``SHA256SUMS`` (the digests of both when they were written); a folder may hold a deployed model too.
"""

from __future__ import annotations

import hashlib
import os
from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

from pydantic import ValidationError
from pydantic_core import from_json

from sparsebench import bounded_files
from sparsebench.bounded_files import MIB
from sparsebench.errors import UserError
from sparsebench.results.checksums import CHECKSUMS, file_hash, parse_checksums
from sparsebench.results.predictions import (
    PREDICTIONS,
    CorruptPredictionsError,
    parse_predictions,
)
from sparsebench.results.records import SCHEMA_VERSION, RunResult

if TYPE_CHECKING:
    from pathlib import Path

    from sparsebench.results.predictions import Predictions

RESULT = "result.json"

_LIMITS = {RESULT: 64 * MIB, CHECKSUMS: 64 * MIB, PREDICTIONS: 2048 * MIB}
"""File of a run -> the most bytes that are read of it."""


class CorruptResultError(UserError):
    """A file of the store that is not what the store wrote."""


class StoredRun(ABC):
    """A run that is stored, whatever is in its files."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        """Its folder; of a packed run, the folder that unpacking would give, below the file."""

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self.folder.name

    @abstractmethod
    def read(self, file: str) -> bytes | None:
        """Read one of its files; None where it has no such file.

        Raises:
            UserError: It cannot be read, is not a regular file, or is too large.
        """

    def has(self, file: str) -> bool:
        """Whether it has a file."""
        return self.read(file) is not None

    def digest(self, file: str) -> str | None:
        """Return the SHA-256 of one of its files; None where it has no such file."""
        content = self.read(file)
        return None if content is None else hashlib.sha256(content).hexdigest()

    def result(self) -> RunResult:
        """Read its result.

        Raises:
            CorruptResultError: It is absent, or not what this version reads.
        """
        place = self.folder / RESULT
        try:
            content = self.read(RESULT)
        except UserError as error:
            raise CorruptResultError(str(error)) from None
        if content is None:
            raise CorruptResultError(f"{place}: no such file")
        return parse_result(content, place)

    def checksums(self) -> dict[str, str] | None:
        """Read the digests of its files, by name; None without checksums.

        Raises:
            ValueError: A line is not a digest and a name.
            UserError: The file cannot be read.
        """
        content = self.read(CHECKSUMS)
        return None if content is None else parse_checksums(content)

    @abstractmethod
    def predictions(self) -> dict[str, Predictions]:
        """Read its predictions: split -> predictions, in the order they are stored.

        Raises:
            CorruptPredictionsError: They are absent or not a table of predictions.
        """


class FolderRun(StoredRun):
    """A run in a folder of its own."""

    def read(self, file: str) -> bytes | None:
        """Read a file of the folder."""
        place = self.folder / file
        if not os.path.lexists(place):
            return None
        return bounded_files.read_bytes(place, limit=_LIMITS[file])

    def has(self, file: str) -> bool:
        """Whether the folder has a file."""
        return (self.folder / file).is_file()

    def digest(self, file: str) -> str | None:
        """Hash a file of the folder, which need not fit into memory."""
        place = self.folder / file
        return file_hash(place) if place.is_file() else None

    def predictions(self) -> dict[str, Predictions]:
        """Read ``predictions.jsonl``."""
        place = self.folder / PREDICTIONS
        try:
            content = self.read(PREDICTIONS)
            if content is None:
                raise CorruptPredictionsError(f"{place}: no such file")
            return parse_predictions(content)
        except ValueError as error:
            raise CorruptPredictionsError(f"{place}: no readable predictions ({error})") from None
        except UserError as error:
            raise CorruptPredictionsError(str(error)) from None


def read_result(file: Path) -> RunResult:
    """Read one ``result.json``.

    Raises:
        CorruptResultError: It is absent, or not what this version reads.
    """
    return FolderRun(file.parent).result()


def parse_result(content: bytes, file: Path) -> RunResult:
    """Read the content of a ``result.json``.

    Args:
        content: The bytes of the file.
        file: Where it is, for messages.

    Raises:
        CorruptResultError: It is no result, or of a schema that this version does not read.
    """
    try:
        found = _load_json(content)
    except (ValueError, UserError) as error:
        raise CorruptResultError(f"{file}: not a readable result ({error})") from None
    version = found.get("schema_version") if isinstance(found, dict) else None
    if version != SCHEMA_VERSION:
        raise CorruptResultError(
            f"{file}: schema version {version!r}, but this sparsebench reads {SCHEMA_VERSION}"
        )
    try:
        return RunResult.model_validate(found)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise CorruptResultError(f"{file}: {place}: {first['msg']}") from None


def _load_json(content: bytes) -> object:
    try:
        return from_json(content)
    except ValueError:  # more slowly, with half of a surrogate pair, or with a clear message
        return bounded_files.parse_json(content.decode(), name=RESULT)
