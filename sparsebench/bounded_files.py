r"""Bounded reading of files that others wrote: data, predictions, model configurations, results.

    content = read_json(folder / "config.json", limit=10 * MIB)

A file must be a regular file, since a FIFO or a device may never end, and at most ``limit`` bytes.
JSON is also bounded in its depth and in the digits of its integers, so that code that processes it
later neither overflows nor exceeds the recursion limit. Every violation is a ``UserError`` that
names the file.
"""

from __future__ import annotations

import json
import os
import stat
from typing import TYPE_CHECKING, Any

from sparsebench.errors import UserError

if TYPE_CHECKING:
    from pathlib import Path

MIB = 2**20

MAX_DEPTH = 100
"""The deepest nesting of lists and objects in JSON."""

MAX_DIGITS = 100
"""The most digits of an integer in JSON; numbers of a benchmark have at most 20."""

TOO_DEEP = f"nested more than {MAX_DEPTH} levels deep"
"""The message for what is nested too deeply."""


def read_bytes(file: Path, *, limit: int) -> bytes:
    """Read a regular file.

    Args:
        file: The file; a link is followed.
        limit: The largest size in bytes.

    Raises:
        UserError: The file cannot be read, is not a regular file, or is too large.
    """
    try:
        _require_regular(file, file.stat().st_mode)  # opening a device can have an effect by itself
        # Non-blocking: if a FIFO replaces the file now, opening it does not wait for a writer.
        descriptor = os.open(file, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
        with open(descriptor, "rb") as stream:  # noqa: PTH123 - a descriptor has no path
            _require_regular(file, os.fstat(descriptor).st_mode)
            content = stream.read(limit + 1)
    except OSError as error:
        raise UserError(f"{file}: cannot be read: {error.strerror or error}") from None
    except ValueError as error:  # a null character in the name
        raise UserError(f"{str(file)!r}: cannot be read: {error}") from None
    if len(content) > limit:
        raise UserError(f"{file}: larger than {_size(limit)}, the limit for such a file")
    return content


def read_text(file: Path, *, limit: int) -> str:
    """Read a regular file in UTF-8, without its byte order mark.

    Args:
        file: The file; a link is followed.
        limit: The largest size in bytes.

    Raises:
        UserError: As for ``read_bytes``, or it is not UTF-8; the message has the line.
    """
    content = read_bytes(file, limit=limit)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        if content.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise UserError(f"{file}: in UTF-16: save it as UTF-8") from None
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(f"{file}:{line}: not UTF-8") from None


def read_json(file: Path, *, limit: int) -> Any:
    """Read a JSON file in UTF-8.

    Args:
        file: The file; a link is followed.
        limit: The largest size in bytes.

    Raises:
        UserError: As for ``read_text`` and ``parse_json``.
    """
    return parse_json(read_text(file, limit=limit), name=str(file))


def parse_json(text: str, *, name: str) -> Any:
    """Parse JSON of bounded depth, with integers of bounded length.

    Args:
        text: The JSON.
        name: The name of the text in messages, such as its file or ``FILE:LINE``.

    Raises:
        UserError: The text is not JSON or exceeds a bound.
    """
    try:
        value = json.loads(text, parse_int=_integer)
    except json.JSONDecodeError as error:
        raise UserError(
            f"{name}:{error.lineno}: not JSON: {error.msg} (column {error.colno})"
        ) from None
    except ValueError as error:
        raise UserError(f"{name}: {error}") from None
    except RecursionError:
        raise UserError(f"{name}: {TOO_DEEP}") from None
    require_depth(value, name=name)
    return value


def _require_regular(file: Path, mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise UserError(f"{file}: is a folder, not a file")
    if not stat.S_ISREG(mode):
        raise UserError(f"{file}: not a regular file")


def _size(limit: int) -> str:
    return f"{limit / MIB:,.0f} MiB" if limit >= MIB else f"{limit:,} bytes"


def _integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"a number with {len(digits):,} digits; at most {MAX_DIGITS} are allowed")
    return int(digits)


def require_depth(value: object, *, name: str) -> None:
    """Check that lists and dictionaries are nested at most ``MAX_DEPTH`` levels deep.

    Args:
        value: The content of a file.
        name: The name of the file in messages.

    Raises:
        UserError: They are nested deeper.
    """
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        containers = [item for item in level if isinstance(item, (dict, list))]
        if not containers:
            return
        level = [
            child
            for item in containers
            for child in (item.values() if isinstance(item, dict) else item)
        ]
    raise UserError(f"{name}: {TOO_DEEP}")
