"""What ``sparsebench run`` shows while it goes, on a terminal and off it."""

from __future__ import annotations

import io
import re
import threading
from typing import TYPE_CHECKING

import pytest
from rich.console import Console

from sparsebench.api.progress import progress
from sparsebench.execution.events import Awaited, Finished, Progressed, Started

if TYPE_CHECKING:
    from sparsebench.execution.events import Event

TITLES = {key: f"mrpc · bert · lora · seed {key}" for key in "12345"}
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def shown(
    *steps: Event | float, terminal: bool = False, cached: int = 0, width: int = 80
) -> list[str]:
    """Returns the lines that are shown for events; a number lets as many seconds pass."""
    clock, stream = Clock(), io.StringIO()
    console = Console(
        file=stream, width=width, force_terminal=terminal, legacy_windows=False, _environ={}
    )
    with progress(TITLES, cached=cached, console=console, clock=clock) as report:
        for step in steps:
            if isinstance(step, float):
                clock.now += step
            else:
                report(step)
    return [line.rstrip() for line in ESCAPES.sub("\n", stream.getvalue()).splitlines()]


def test_off_a_terminal_a_line_tells_of_each_start_and_end() -> None:
    lines = shown(
        Started("1"),
        2.0,
        Finished("1", "ok", 0.8531, None, 2.0),
        Started("2"),
        Finished("2", "oom", None, "2 GiB short", 130.0),
        cached=3,
    )

    assert lines == [
        "5 runs pending, 3 cached",
        "started  mrpc · bert · lora · seed 1",
        "1/5  ✓ mrpc · bert · lora · seed 1  85.3  2 s",
        "started  mrpc · bert · lora · seed 2",
        "2/5  ✗ mrpc · bert · lora · seed 2  2 min  oom: 2 GiB short",
        "2 of 5 runs in 2 s: 1 ok, 1 oom",
    ]


def test_off_a_terminal_steps_are_told_every_ten_seconds_at_most() -> None:
    steps: list[Event | float] = []
    for done in range(1, 61):
        steps += [0.5, Progressed("1", "train", done, 100, 0.25)]

    lines = [line for line in shown(*steps) if "train" in line]

    assert len(lines) == 3
    assert lines[0].split(": ")[1].startswith("train, 20/100, loss 0.250, about ")


def test_off_a_terminal_nothing_steers_the_reader() -> None:
    hostile = "out of \x1b[2Jmemory\nagain [red]"

    lines = shown(Finished("1", "error", None, hostile, 1.0))

    assert lines[1].endswith("error: out of [2Jmemory again [red]")


def test_a_long_line_is_not_cut_off_a_terminal() -> None:
    assert "x" * 300 in "".join(shown(Finished("1", "error", None, "x" * 300, 1.0)))


def test_a_terminal_shows_what_runs_and_what_ended() -> None:
    lines = shown(
        Finished("1", "ok", 0.8531, None, 60.0),
        Finished("2", "oom", None, "2 GiB short", 1.0),
        Started("3"),
        Progressed("3", "train", 120, 230, 0.4567),
        terminal=True,
        cached=2,
    )

    text = "\n".join(lines)
    assert "mrpc · bert · lora · seed 1  85.3  60 s" in text.replace("\n", "")
    assert "oom: 2 GiB short" in text
    assert "2/5 runs · 1 failed · 2 cached · about 3 min left" in text
    running = [line for line in lines if line.endswith("loss 0.457")]
    assert running
    assert re.search(r"120/230", text)
    assert lines[-1] == "2 of 5 runs in 1 s: 1 ok, 1 oom"


def test_a_terminal_of_80_columns_is_never_wrapped() -> None:
    long = {"1": "a-task · a-backbone-with-a-long-name · a-method-with-a-long-name · seed 12345678"}
    stream = io.StringIO()
    console = Console(file=stream, width=80, force_terminal=True, color_system=None, _environ={})
    with progress(long, cached=0, console=console) as report:
        report(Started("1"))
        report(Progressed("1", "evaluate", 10_000, 20_000, 12.3456))
        report(Finished("1", "error", None, "x" * 200, 1.0))

    lines = ESCAPES.sub("\n", stream.getvalue()).splitlines()
    assert max(map(len, lines)) <= 80
    assert any("10000/20000" in line and "loss 12.346" in line for line in lines)


def test_the_step_that_begins_a_phase_is_drawn_at_once() -> None:
    events = [Progressed("1", phase, 1, 2) for phase in ("load", "train", "evaluate", "profile")]

    text = "\n".join(shown(*events, terminal=True))

    assert all(phase in text for phase in ("load", "train", "evaluate", "profile"))


def test_many_runs_at_a_time_are_not_all_listed() -> None:
    titles = {str(n): f"run number {n}" for n in range(30)}
    stream = io.StringIO()
    console = Console(file=stream, width=80, force_terminal=True, _environ={})
    with progress(titles, cached=0, console=console) as report:
        for key in titles:
            report(Started(key))

    assert "and 22 more" in stream.getvalue()
    assert "run number 29" not in stream.getvalue()


@pytest.mark.parametrize("terminal", [True, False])
def test_a_run_of_another_command_is_reported(*, terminal: bool) -> None:
    text = "\n".join(shown(Awaited("1"), terminal=terminal, width=120))
    assert "seed 1: run by another command, waiting for its result" in text


@pytest.mark.parametrize("terminal", [True, False])
def test_any_thread_may_report(*, terminal: bool) -> None:
    titles = {f"{n:02}": f"run number {n:02}" for n in range(40)}
    stream = io.StringIO()
    console = Console(
        file=stream, width=80, force_terminal=terminal, color_system=None, _environ={}
    )

    with progress(titles, cached=0, console=console) as report:

        def work(keys: list[str]) -> None:
            for key in keys:
                report(Started(key))
                for step in range(20):
                    report(Progressed(key, "train", step, 20, 0.1))
                report(Finished(key, "ok", 0.5, None, 1.0))

        keys = list(titles)
        threads = [threading.Thread(target=work, args=(keys[n::4],)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    text = stream.getvalue()
    for title in titles.values():
        assert len(re.findall(rf"✓ {title}  50.0  1 s", text)) == 1
    assert "40 of 40 runs" in text


def test_an_interruption_leaves_the_terminal_as_it_was() -> None:
    stream = io.StringIO()
    console = Console(file=stream, width=80, force_terminal=True, _environ={})

    def interrupted() -> None:
        with progress(TITLES, cached=0, console=console) as report:
            report(Started("1"))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()

    assert stream.getvalue().rstrip().endswith("\x1b[2K")  # the display is gone
    assert stream.getvalue().count("\x1b[?25h") == 1  # and the cursor is back
