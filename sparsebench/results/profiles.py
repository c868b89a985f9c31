"""Profiles: the costs of a model under one condition, and the folder that stores them."""

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
from sparsebench.results.free_texts import clean_record
from sparsebench.results.records import Provenance, Status
from sparsebench.results.stored_run import CorruptResultError
from sparsebench.schema.base import FrozenModel
from sparsebench.schema.spec import MethodChoice

if TYPE_CHECKING:
    from collections.abc import Iterator

SCHEMA_VERSION = 1


class ProfileSpec(FrozenModel):
    """One condition of measurement: model, device, input shape and options."""

    model: str
    """The backbone's name."""

    model_fingerprint: str
    method: MethodChoice | None = None
    """The method; None for a deployed folder without a result."""

    trained: bool
    """Whether the weights come from a run; if not, masks and removals on untrained weights are as
    at the end of a run."""

    folder: str | None = None
    """SHA-256 of the weights in the deployed folder; None for untrained weights."""

    form: str
    """The form of the task, such as ``classification``."""

    device: str
    """The requested device, such as ``cuda:0``."""

    hardware: str
    """The maker's name of the device, and on a CPU the threads of one operator."""

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
    """One row of a costs table, measured or failed."""

    schema_version: int = SCHEMA_VERSION
    key: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    """The hash of the spec."""

    spec: ProfileSpec
    status: Status
    reason: str | None = None
    """Why there are no costs, in one line; None if there are."""

    notes: tuple[str, ...] = ()
    """Remarks that a reader of the costs needs."""

    costs: Costs | None = None
    provenance: Provenance | None = None


class BreakEvens(Record):
    """The break-even sparsity of every runtime, for the matrix shapes of one backbone."""

    schema_version: int = SCHEMA_VERSION
    model: str
    device: Device
    dtype: str
    batch_size: int
    length: int
    found: tuple[BreakEven, ...]


def profile_key(spec: ProfileSpec) -> str:
    """Return the key of a profile: 16 hexadecimal digits of the hash of its spec."""
    content = json.dumps(spec.model_dump(mode="json"), sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()[:16]


class ProfileStore:
    """The profiles in one folder, one file each.

    Args:
        root: The folder, created with the first profile. None stores nothing.
    """

    def __init__(self, root: Path | None) -> None:
        self.root = root

    def find(self, spec: ProfileSpec) -> ProfileResult | None:
        """Return the profile of a condition, or None if there is none.

        Raises:
            CorruptResultError: The file cannot be read.
        """
        file = self.root and self.root / _file_name(spec)
        return read_profile(file) if file and file.is_file() else None

    def write(self, result: ProfileResult) -> None:
        """Write a profile atomically, in place of an older one of the same condition.

        Raises:
            UserError: The folder cannot be written.
        """
        self._write(_file_name(result.spec), result)

    def find_break_evens(self, like: BreakEvens) -> BreakEvens | None:
        """Return the break-evens of the same backbone, device, type and shape, or None."""
        file = self.root and self.root / _break_even_name(like)
        if not file or not file.is_file():
            return None
        try:
            return BreakEvens.model_validate_json(file.read_bytes())
        except ValidationError as error:
            raise CorruptResultError(f"{file}: {error.errors()[0]['msg']}") from None

    def write_break_evens(self, found: BreakEvens) -> None:
        """Write break-evens in place of older ones.

        Raises:
            UserError: The folder cannot be written.
        """
        self._write(_break_even_name(found), found)

    def __iter__(self) -> Iterator[ProfileResult]:
        """Yield every profile, in the order of the file names."""
        files = self.root.glob("*.json") if self.root else ()
        return map(read_profile, sorted(file for file in files if "--" in file.name))

    def _write(self, name: str, record: Record) -> None:
        if self.root is None:
            return
        text = clean_record(record).model_dump_json(indent=1, exclude_defaults=True) + "\n"
        try:
            (self.root / name).parent.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(
                "w", dir=self.root, prefix=".", delete=False, encoding="utf-8"
            ) as stream:
                stream.write(text)
            Path(stream.name).chmod(0o644)
            os.replace(stream.name, self.root / name)  # noqa: PTH105 - Path.replace does the same
        except OSError as error:
            reason = error.strerror or error
            raise UserError(f"{self.root}: cannot write a profile ({reason})") from error


def read_profile(file: Path) -> ProfileResult:
    """Read one profile.

    Raises:
        CorruptResultError: The file is not a profile, or has another schema version.
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
