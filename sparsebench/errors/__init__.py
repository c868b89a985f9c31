"""Errors for users: one clear message, no traceback, exit code 2."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class UserError(Exception):
    """A mistake of the user; the message says what is wrong, where, and what to do."""


class StoppedError(BaseException):
    """A request to stop a run, which can be resumed; not a failure, so not an ``Exception``."""


class UnknownNameError(UserError):
    """An unknown name; the message suggests the nearest known name.

    Args:
        kind: The kind of the named thing, in the singular, such as ``"method"``.
        name: The unknown name.
        known: All known names.
        where: The place of the name, such as ``"glue.yaml:12"``.
    """

    def __init__(
        self, kind: str, name: str, *, known: Iterable[str], where: str | None = None
    ) -> None:
        self.name = name
        super().__init__(
            f"{where + ': ' if where else ''}unknown {kind} {name!r}{suggestion(name, known)}"
        )


def describe(error: BaseException) -> str:
    """Return the message of an error, with its type unless it is a ``UserError``."""
    text = message_of(error)
    if isinstance(error, UserError):
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def message_of(error: BaseException) -> str:
    """Return the message of an error; the ``__str__`` of a plugin's error may fail itself."""
    try:
        return str(error)
    except Exception as second:  # noqa: BLE001 - a plugin may raise anything
        return f"its message cannot be read ({type(second).__name__} in __str__)"


def one_line(error: BaseException) -> str:
    """Return the first line of an error message, with the type unless it is a ``UserError``."""
    return describe(error).partition("\n")[0]


def printable(text: str) -> str:
    """Return a text with its control characters escaped, so that it cannot steer a terminal."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def suggestion(name: str, known: Iterable[str]) -> str:
    """Return the end of a message: ``"; did you mean 'x'?"``, or the list of known names."""
    names = sorted(set(known))
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; known: {', '.join(names)}" if names else "; none is known"
