"""Checksums of the files of a folder, as ``sha256sum`` writes and checks them."""

from __future__ import annotations

import hashlib
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

CHECKSUMS = "SHA256SUMS"


def checksums_text(digests: Mapping[str, str]) -> str:
    """Returns the content of the file: a digest and a name a line."""
    return "".join(f"{digest}  {name}\n" for name, digest in sorted(digests.items()))


def read_checksums(folder: Path) -> dict[str, str] | None:
    """Returns the digests of the files of a folder, by their place there; None without checksums.

    Raises:
        ValueError: A line of the file is not of the format.
        OSError: The file cannot be read.
    """
    file = folder / CHECKSUMS
    if not file.is_file():
        return None
    digests = {}
    for line in file.read_text(encoding="utf-8").splitlines():
        digest, gap, name = line.partition("  ")
        place = PurePosixPath(name)
        if not gap or place.is_absolute() or ".." in place.parts:
            raise ValueError(f"{line!r} is no checksum and name")
        digests[name] = digest
    return digests


def changed_files(folder: Path, digests: Mapping[str, str]) -> list[str]:
    """Returns the files of a folder that are gone, or no longer have their digest.

    Raises:
        OSError: One cannot be read.
    """
    return [
        name
        for name, digest in digests.items()
        if not (folder / name).is_file() or file_hash(folder / name) != digest
    ]


def file_hash(file: Path) -> str:
    """Returns the SHA-256 of a file, which need not fit into memory."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def folder_hashes(folder: Path) -> dict[str, str]:
    """Returns the SHA-256 of every file in a folder, by its place there, in order."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return {file.relative_to(folder).as_posix(): file_hash(file) for file in files}
