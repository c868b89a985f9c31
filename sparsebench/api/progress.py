"""The progress of runs: a live display on a terminal, plain lines elsewhere."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from sparsebench.api.tally import OK, Tally, duration
from sparsebench.execution.events import Awaited, Finished, Progressed, Stopped
from sparsebench.leaderboard.text import clean, percent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from rich.console import Console, RenderableType

    from sparsebench.api.tally import Running, Snapshot
    from sparsebench.execution.events import Event, Report

WIDTHS = (16, 9, 10)
"""Characters for the phase, the steps and the loss, so that nothing moves as they change."""

SHOWN = 8
"""The most runs that the live display lists."""

REDRAW = 0.1
"""The fewest seconds between two updates of the live display that show only another step."""

INTERVAL = 10.0
"""Seconds between two lines about steps, off a terminal."""


@contextmanager
def progress(
    titles: Mapping[str, str],
    *,
    cached: int,
    console: Console,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Report]:
    """Show the progress of runs.

    Args:
        titles: Key -> title of each run.
        cached: The number of cached runs.
        console: Where to show it: live if it is a terminal, else as plain lines.
        clock: Returns seconds.

    Yields:
        A function that takes the events of the runs, from any thread.
    """
    tally = Tally(titles, clock=clock)
    if console.is_terminal and not console.is_dumb_terminal:
        view = _LiveView(tally, cached)
        with Live(view, console=console, transient=True, auto_refresh=False) as live:
            yield _live_report(tally, live, clock)
    else:
        more = f", {cached} cached" if cached else ""
        _print(console, Text(f"{_runs(len(titles))} pending{more}"))
        yield _plain_report(tally, console, clock)
    _print(console, Text(_summary(tally.snapshot())))


def _live_report(tally: Tally, live: Live, clock: Callable[[], float]) -> Report:
    """Update the display after each event; the lock keeps two threads from drawing at once."""
    lock = threading.Lock()
    drawn, phases = 0.0, dict[str, str]()

    def report(event: Event) -> None:
        nonlocal drawn
        with lock:
            tally.add(event)
            phase = event.phase if isinstance(event, Progressed) else type(event).__name__
            if phases.get(event.key) == phase and clock() - drawn < REDRAW:
                return
            phases[event.key], drawn = phase, clock()
            if isinstance(event, Finished):
                line = _ended(event, title=tally.title(event.key))
                live.console.print(line, no_wrap=True, overflow="ellipsis", crop=True)
            elif isinstance(event, (Awaited, Stopped)):
                live.console.print(_line(event, tally), no_wrap=True, overflow="ellipsis")
            live.refresh()

    return report


def _plain_report(tally: Tally, console: Console, clock: Callable[[], float]) -> Report:
    lock = threading.Lock()
    quiet_until = clock() + INTERVAL

    def report(event: Event) -> None:
        nonlocal quiet_until
        with lock:
            tally.add(event)
            if isinstance(event, Progressed):
                if clock() < quiet_until:
                    return
                quiet_until = clock() + INTERVAL
            _print(console, _line(event, tally))

    return report


def _line(event: Event, tally: Tally) -> Text:
    """Return the line of an event, off a terminal."""
    title, now = clean(tally.title(event.key)), tally.snapshot()
    if isinstance(event, Finished):
        return Text.assemble(f"{now.finished}/{now.total}  ", _ended(event, title=title))
    if isinstance(event, Progressed):
        parts = [event.phase, _steps(event), _loss(event), _left(now)]
        return Text(f"         {title}: {', '.join(part for part in parts if part)}")
    if isinstance(event, Awaited):
        holder = clean(event.holder) or "another command"
        return Text(f"         {title}: run by {holder}, waiting for its result")
    if isinstance(event, Stopped):
        return Text(f"stopped  {title}: the same command resumes it")
    return Text(f"{type(event).__name__.lower():<9}{title}")


class _LiveView:
    """The live display of a tally."""

    def __init__(self, tally: Tally, cached: int) -> None:
        self._tally = tally
        self._cached = cached

    def __rich__(self) -> RenderableType:
        now = self._tally.snapshot()
        return Group(_overview(now, cached=self._cached), _table(now))


def _overview(now: Snapshot, *, cached: int) -> RenderableType:
    parts = [f"{now.finished}/{_runs(now.total)}"]
    parts += [f"{now.failed} failed"] if now.failed else []
    parts += [f"{cached} cached"] if cached else []
    parts += [left] if (left := _left(now)) else []
    done = now.finished + sum(run.trained for run in now.running)
    grid = Table.grid(padding=(0, 1))
    grid.add_row(ProgressBar(total=max(now.total, 1), completed=done, width=20), " · ".join(parts))
    return grid


def _table(now: Snapshot) -> RenderableType:
    grid = Table.grid(padding=(0, 1), expand=True)
    grid.add_column(ratio=1, no_wrap=True, overflow="ellipsis")
    for width in WIDTHS:
        grid.add_column(no_wrap=True, justify="right", min_width=width)
    for run in now.running[:SHOWN]:
        grid.add_row(*_cells(run))
    if len(now.running) > SHOWN:
        grid.add_row(Text(f"  and {len(now.running) - SHOWN} more", style="dim"))
    return grid


def _cells(run: Running) -> tuple[Text, ...]:
    title, event = Text(f"  {clean(run.title)}"), run.latest
    if event is None:
        return (title, Text("start", style="cyan"))
    return (title, Text(event.phase, style="cyan"), Text(_steps(event)), Text(_loss(event)))


def _ended(event: Finished, *, title: str) -> Text:
    took = Text(f"  {duration(event.seconds)}", style="dim")
    if event.status == OK:
        score = "" if event.score is None else f"  {percent(event.score)}"
        return Text.assemble(("✓ ", "green"), clean(title), (score, "bold"), took)
    reason = clean(f"{event.status}: {event.reason}" if event.reason else event.status)
    return Text.assemble(("✗ ", "red"), clean(title), took, (f"  {reason}", "red"))


def _steps(event: Progressed) -> str:
    return f"{event.done}/{event.total}" if event.total else ""


def _loss(event: Progressed) -> str:
    return "" if event.loss is None else f"loss {event.loss:.3f}"


def _left(now: Snapshot) -> str:
    if now.seconds_left is None or now.finished == now.total:
        return ""
    return f"about {duration(now.seconds_left)} left"


def _summary(now: Snapshot) -> str:
    counts = sorted(now.statuses.items(), key=lambda item: (item[0] != OK, item[0]))
    outcomes = ", ".join(f"{count} {status}" for status, count in counts) or "none finished"
    return f"{now.finished} of {_runs(now.total)} in {duration(now.seconds)}: {outcomes}"


def _runs(count: int) -> str:
    return f"{count} run{'' if count == 1 else 's'}"


def _print(console: Console, line: Text) -> None:
    console.print(line, soft_wrap=True)
