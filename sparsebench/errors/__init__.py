"""Errors that are meant for people: one clear message, no traceback, exit code 2."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable


class UserError(Exception):
    """A mistake in what the user asked for; the message says what, where, and what to do."""


class StoppedError(BaseException):
    """A run was asked to stop, and can be gone on with: no failure, so nothing takes it for one."""


class UnknownNameError(UserError):
    """A name that stands for nothing, with the nearest names that do.

    Args:
        kind: What was looked for, in the singular, such as ``"method"``.
        name: The name that was not found.
        known: Every name that would have been found.
        where: Where the name was given, such as ``"glue.yaml:12"``.
    """

    def __init__(
        self, kind: str, name: str, *, known: Iterable[str], where: str | None = None
    ) -> None:
        self.name = name
        super().__init__(
            f"{where + ': ' if where else ''}unknown {kind} {name!r}{suggestion(name, known)}"
        )


def one_line(error: BaseException) -> str:
    """Returns the first line of what an error says, and its type if it is not meant for people."""
    kind = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
    return f"{kind}{error}".partition("\n")[0]


def suggestion(name: str, known: Iterable[str]) -> str:
    """Returns ``"; did you mean 'x'?"``, else the list of what is known, to end a message with."""
    names = sorted(set(known))
    near = difflib.get_close_matches(name, names, n=1, cutoff=0.6)
    if near:
        return f"; did you mean {near[0]!r}?"
    return f"; known: {', '.join(names)}" if names else "; none is known"
