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
    """Return the content of the file: a digest and a name a line."""
    return "".join(f"{digest}  {name}\n" for name, digest in sorted(digests.items()))


def parse_checksums(content: bytes) -> dict[str, str]:
    """Read the content of the file: the digests, by the place of each file below the folder.

    Raises:
        ValueError: A line is not a digest and the name of a file below the folder.
    """
    digests = {}
    for line in content.decode().splitlines():
        digest, gap, name = line.partition("  ")
        place = PurePosixPath(name)
        if not gap or place.is_absolute() or ".." in place.parts:
            raise ValueError(f"{line!r} is not a checksum and a file name")
        digests[name] = digest
    return digests


def read_checksums(folder: Path) -> dict[str, str] | None:
    """Read the digests of the files of a folder; None where it has no checksums.

    Raises:
        ValueError: A line of the file is not of the format.
        OSError: The file cannot be read.
    """
    file = folder / CHECKSUMS
    return parse_checksums(file.read_bytes()) if file.is_file() else None


def changed_files(folder: Path, digests: Mapping[str, str]) -> list[str]:
    """Return the files of a folder that are missing or no longer have their digest.

    Raises:
        OSError: One cannot be read.
    """
    return [
        name
        for name, digest in digests.items()
        if not (folder / name).is_file() or file_hash(folder / name) != digest
    ]


def file_hash(file: Path) -> str:
    """Return the SHA-256 of a file, which need not fit into memory."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def folder_hashes(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of every file in a folder, by its place there, in order."""
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return {file.relative_to(folder).as_posix(): file_hash(file) for file in files}
