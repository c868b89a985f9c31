"""A profile: what was measured under one condition, or why nothing was."""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import Field, ValidationError

from sparsebench.errors import UserError
from sparsebench.results.base import Record
from sparsebench.results.costs import BreakEven, Costs, Device
from sparsebench.results.records import Provenance, Status
from sparsebench.results.stored_run import CorruptResultError
from sparsebench.schema.base import FrozenModel
from sparsebench.schema.spec import MethodChoice

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMA_VERSION = 1


class ProfileSpec(FrozenModel):
    """One condition: a model, where and on what it is measured, and how thoroughly."""

    model: str
    """The backbone's name."""

    model_fingerprint: str
    method: MethodChoice | None = None
    """The method; None for a deployed folder without a result."""

    trained: bool
    """Whether the weights come from a run; else masks and removals are as at the end of one, on
    untrained weights."""

    folder: str | None = None
    """The SHA-256 of the deployed folder's weights; None for untrained weights."""

    form: str
    """How the model answers."""

    device: str
    """What was asked for, such as ``cuda:0``."""

    hardware: str
    """The device by its maker's name, and the threads of an operator on a CPU."""

    dtype: str
    attention: str
    batch_size: int
    length: int
    target_length: int
    runtimes: tuple[str, ...] = ()
    generate: int = 0

    @property
    def title(self) -> str:
        """The condition in a few words, for messages."""
        label = self.method.label if self.method else "deployed"
        sizes = f"{self.batch_size} x {self.length}"
        return f"{self.model} · {label} · {self.device} · {self.dtype} · {sizes}"


class ProfileResult(Record):
    """One row of a table of costs, whether it could be measured or not."""

    schema_version: int = SCHEMA_VERSION
    key: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    """The hash of the spec."""

    spec: ProfileSpec
    status: Status
    reason: str | None = None
    """Why there are no costs, in one line; None if there are."""

    notes: tuple[str, ...] = ()
    """What must be known to read the costs."""

    costs: Costs | None = None
    provenance: Provenance | None = None


class BreakEvens(Record):
    """Where runtimes begin to gain, for the shapes of one backbone."""

    schema_version: int = SCHEMA_VERSION
    model: str
    device: Device
    dtype: str
    batch_size: int
    length: int
    found: tuple[BreakEven, ...]


def profile_key(spec: ProfileSpec) -> str:
    """Returns the content key of a profile: 16 hexadecimal digits of the hash of its spec."""
    content = json.dumps(spec.model_dump(mode="json"), sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


class ProfileStore:
    """The profiles under one folder, a file each.

    Args:
        root: The folder; it is made when the first profile is written. None keeps nothing.
    """

    def __init__(self, root: Path | None) -> None:
        self.root = root

    def find(self, spec: ProfileSpec) -> ProfileResult | None:
        """Returns the profile of a condition, or None where there is none.

        Raises:
            CorruptResultError: What is there cannot be read.
        """
        file = self.root and self.root / _file_name(spec)
        return read_profile(file) if file and file.is_file() else None

    def write(self, result: ProfileResult) -> None:
        """Writes a profile in place of an older one of the same condition, whole or not at all.

        Raises:
            UserError: The folder cannot be written.
        """
        self._write(_file_name(result.spec), result)

    def find_break_evens(self, like: BreakEvens) -> BreakEvens | None:
        """Returns the break-evens of the same backbone, device, type and shape, if there are."""
        file = self.root and self.root / _break_even_name(like)
        if not file or not file.is_file():
            return None
        try:
            return BreakEvens.model_validate_json(file.read_bytes())
        except ValidationError as error:
            raise CorruptResultError(f"{file}: {error.errors()[0]['msg']}") from None

    def write_break_evens(self, found: BreakEvens) -> None:
        """Writes break-evens in place of older ones.

        Raises:
            UserError: The folder cannot be written.
        """
        self._write(_break_even_name(found), found)

    def __iter__(self) -> Iterator[ProfileResult]:
        """Yields every profile, in the order of the names of their files."""
        files = self.root.glob("*.json") if self.root else ()
        return map(read_profile, sorted(file for file in files if "--" in file.name))

    def _write(self, name: str, record: Record) -> None:
        if self.root is None:
            return
        try:
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(
                "w", dir=self.root, prefix=".", delete=False, encoding="utf-8"
            ) as stream:
                stream.write(record.model_dump_json(indent=1, exclude_defaults=True) + "\n")
            Path(stream.name).chmod(0o644)
            os.replace(stream.name, self.root / name)  # noqa: PTH105 - Path.replace does the same
        except OSError as error:
            reason = error.strerror or error
            raise UserError(f"{self.root}: cannot write a profile ({reason})") from error


def read_profile(file: Path) -> ProfileResult:
    """Reads one profile.

    Raises:
        CorruptResultError: It is not one, or of a schema that this version does not read.
    """
    try:
        return ProfileResult.model_validate_json(file.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"]))
        raise CorruptResultError(f"{file}: {place}: {first['msg']}") from None
    except OSError as error:
        raise CorruptResultError(f"{file}: not a readable profile ({error})") from None


def _file_name(spec: ProfileSpec) -> str:
    parts = (
        spec.model,
        spec.method.label if spec.method else "deployed",
        spec.device,
        spec.dtype,
        f"b{spec.batch_size}-l{spec.length}",
        profile_key(spec)[:8],
    )
    return f"{_safe(parts)}.json"


def _break_even_name(found: BreakEvens) -> str:
    shape = f"b{found.batch_size}-l{found.length}"
    return f"break-even/{_safe((found.model, found.device.type, found.dtype, shape))}.json"


def _safe(parts: tuple[str, ...]) -> str:
    return "--".join(re.sub(r"[^A-Za-z0-9.+_]+", "-", part).strip("-.")[:48] for part in parts)
