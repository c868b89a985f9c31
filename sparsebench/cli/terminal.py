"""Whatever the command line is started from: any encoding, any width, no terminal at all."""

from __future__ import annotations

import codecs
import errno
import os
import sys
import unicodedata
from contextlib import contextmanager
from typing import TYPE_CHECKING

from sparsebench.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator

_REPLACEMENT = "sparsebench.plain"
"""The name of the error handler of encodings that lack a character."""

_PLAIN = {
    "×": "x",
    "·": "-",
    "—": "-",
    "\u2013": "-",
    "≥": ">=",
    "≤": "<=",
    "±": "+-",
    "→": "->",
    "†": "*",
    "•": "*",
    "✓": "ok",
    "✗": "x",
    "─": "-",
    "━": "-",
    "│": "|",
}
"""Character of our output -> its spelling in ASCII."""

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EIO)

_WIDTHS = range(20, 1001)
"""The widths of a terminal that output is laid out for."""


def prepare() -> None:
    """Make the streams accept any text, and the environment give a usable width."""
    _fill_closed_streams()
    codecs.register_error(_REPLACEMENT, _spelled_plainly)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors=_REPLACEMENT)
    for variable in ("COLUMNS", "LINES", "TERMINAL_WIDTH"):
        value = os.environ.get(variable, "")
        if not value.isdecimal() or int(value[:9]) not in _WIDTHS:
            os.environ.pop(variable, None)


def prints_any_character() -> bool:
    """Whether the encoding of the output has every character."""
    encoding = sys.stdout.encoding or "ascii"
    return codecs.lookup(encoding).name.startswith("utf")


@contextmanager
def flushed() -> Iterator[None]:
    """Write out what was printed, and report a disk that is full.

    Raises:
        UserError: The output cannot be written.
    """
    try:
        try:
            yield
        finally:
            sys.stdout.flush()
    except OSError as error:
        if error.errno not in _FULL or error.filename:
            raise
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
        raise UserError(f"the output cannot be written ({error.strerror})") from None


@contextmanager
def stdout_reserved() -> Iterator[None]:
    """Send to the error stream whatever else prints, such as a plugin that is imported."""
    sys.stdout.flush()
    kept, stdout = os.dup(1), sys.stdout
    os.dup2(2, 1)
    sys.stdout = sys.stderr
    try:
        yield
    finally:
        sys.stdout.flush()
        sys.stdout = stdout
        os.dup2(kept, 1)
        os.close(kept)


def _fill_closed_streams() -> None:
    """Open the standard streams that the caller has closed, so that no file takes their place."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:  # noqa: PLR2004 - stderr
        pass
    os.close(descriptor)
    for name in ("stdin", "stdout", "stderr"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, "r+", encoding="utf-8"))  # noqa: PTH123, SIM115


def _spelled_plainly(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    spelled = map(_plain, error.object[error.start : error.end])
    return "".join(spelled), error.end


def _plain(character: str) -> str:
    decomposed = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode()
    return _PLAIN.get(character) or decomposed or "?"
