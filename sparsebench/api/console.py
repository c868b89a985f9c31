"""The console that all output for people goes through."""

from __future__ import annotations

import re
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.segment import Segment
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from rich.console import ConsoleOptions, RenderableType

_STEERING = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]"
)
"""Characters that steer a terminal, change the direction of text, or do not print."""

FIRST = 2.0
"""Seconds after which an activity is reported, off a terminal."""

INTERVAL = 10.0
"""Seconds between two reports of an activity, off a terminal."""


def printable(text: str) -> str:
    """Return text without the characters that steer a terminal; lines and tabs stay."""
    return _STEERING.sub("", text)


class SafeConsole(Console):
    """A console that prints text as it is, and nothing in it can steer the terminal.

    Names and messages come from files, folders and plugins of others: escape sequences are
    removed, and markup and emoji codes are not interpreted.

    Args:
        stderr: Whether it prints to the error stream.
        soft_wrap: Whether long lines stay whole.
        quiet: Whether it prints nothing.
    """

    def __init__(
        self, *, stderr: bool = False, soft_wrap: bool = False, quiet: bool = False
    ) -> None:
        super().__init__(
            stderr=stderr,
            soft_wrap=soft_wrap,
            quiet=quiet,
            markup=False,
            emoji=False,
            highlight=False,
        )

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        """Yield the segments of a renderable, their text printable."""
        for segment in super().render(renderable, options):
            if segment.control or not _STEERING.search(segment.text):
                yield segment
            else:
                yield Segment(printable(segment.text), segment.style)


@contextmanager
def activity(text: str, console: Console | None = None) -> Iterator[Callable[[str], None]]:
    """Show that something is in progress, on the error stream unless a console is given.

    On a terminal this is a spinner; elsewhere it is a line after two seconds, then one every ten.

    Args:
        text: What is in progress.
        console: Where to show it.

    Yields:
        A function that changes the text.
    """
    console = console or SafeConsole(stderr=True)
    if console.is_terminal and not console.is_dumb_terminal:
        with console.status(Text(text)) as status:
            yield lambda changed: status.update(Text(changed))
        return
    latest, ended = [text], threading.Event()

    def report() -> None:
        seconds = FIRST
        while not ended.wait(seconds):
            console.print(f"{latest[0]} ...", soft_wrap=True)
            seconds = INTERVAL

    thread = threading.Thread(target=report, daemon=True)
    thread.start()
    try:
        yield lambda changed: latest.__setitem__(0, changed)
    finally:
        ended.set()
        thread.join()
