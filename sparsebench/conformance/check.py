"""What a check is, and what may come of it."""

from __future__ import annotations

import traceback
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

from sparsebench.errors import one_line

if TYPE_CHECKING:
    from collections.abc import Callable

    from sparsebench.conformance.method_under_test import MethodUnderTest, Trial


_LIBRARIES = frozenset(
    {"accelerate", "contextlib", "datasets", "numpy", "peft", "pytest", "sparsebench", "torch"}
    | {"tokenizers", "transformers"}
)


class Failed(AssertionError):  # noqa: N818 - an outcome, as pytest names its own
    """The method does not do what the check asks; the message says what was seen."""


class NotApplicable(Exception):  # noqa: N818 - an outcome
    """The method does not claim what the check is about; the message says what it would be."""


class Status(StrEnum):
    """What came of a check."""

    PASS = "pass"  # noqa: S105 - no password
    FAIL = "fail"
    EXPECTED = "expected"
    """It fails, as the method says it would."""

    NOT_APPLICABLE = "not applicable"


@dataclass(frozen=True)
class Finding:
    """What came of one check of one method.

    Attributes:
        check: The check.
        status: What came of it.
        note: Why, or what else there is to know.
    """

    check: Check
    status: Status
    note: str = ""


@dataclass(frozen=True)
class Check:
    """One thing that is asked of a method.

    Attributes:
        name: What it is called.
        description: What it asks, in one line.
        applies_to: Which methods it is about.
        run: Returns what there is to note, or raises ``Failed`` or ``NotApplicable``.
    """

    name: str
    description: str
    applies_to: str
    run: Callable[[MethodUnderTest], str]

    def find(self, subject: MethodUnderTest) -> Finding:
        """Returns what comes of the check, whatever the method does; expects nothing."""
        try:
            return Finding(self, Status.PASS, self.run(subject))
        except NotApplicable as reason:
            return Finding(self, Status.NOT_APPLICABLE, str(reason))
        except Failed as reason:
            return Finding(self, Status.FAIL, str(reason))
        except Exception as error:  # noqa: BLE001 - a method may fail in any way
            return Finding(self, Status.FAIL, error_text(error))


def error_text(error: BaseException, *, limit: int = 200) -> str:
    """Returns the first line of what an error says, shortened, and where the method has raised it.

    The place is the last one that is in none of the libraries that a method calls.
    """
    line = one_line(error).strip() or "no message"
    told = line if len(line) <= limit else f"{line[:limit]}…"
    places = [
        f"{Path(frame.f_code.co_filename).parent.name}/{Path(frame.f_code.co_filename).name}:{number}"
        for frame, number in traceback.walk_tb(error.__traceback__)
        if str(frame.f_globals.get("__name__")).partition(".")[0] not in _LIBRARIES
    ]
    return f"{told} ({places[-1]})" if places else told


def of_method(applies_to: str) -> Callable[[Callable[[MethodUnderTest], str | None]], Check]:
    """Makes a check of a function that looks at a method as a whole."""

    def make(function: Callable[[MethodUnderTest], str | None]) -> Check:
        def run(subject: MethodUnderTest) -> str:
            return function(subject) or ""

        return _check(function, applies_to, run)

    return make


def of_family(
    applies_to: str, *, first_only: bool = False
) -> Callable[[Callable[[Trial], str | None]], Check]:
    """Makes a check of a function that looks at a method on one family.

    Args:
        applies_to: Which methods it is about.
        first_only: Whether one family tells enough.
    """

    def make(function: Callable[[Trial], str | None]) -> Check:
        def run(subject: MethodUnderTest) -> str:
            trials = subject.trials[:1] if first_only else subject.trials
            return _over(trials, function)

        return _check(function, applies_to, run)

    return make


def _check(
    function: Callable[..., object], applies_to: str, run: Callable[[MethodUnderTest], str]
) -> Check:
    text = (function.__doc__ or "").strip().splitlines()[0]
    return Check(function.__name__, text, applies_to, run)


def _over(trials: tuple[Trial, ...], function: Callable[[Trial], str | None]) -> str:
    """Looks at every family; fails if one fails, and applies if it applies to one."""
    passed: dict[str, list[str]] = {}
    failed: dict[str, list[str]] = {}
    absent: dict[str, list[str]] = {}
    for trial in trials:
        try:
            passed.setdefault(function(trial) or "", []).append(trial.family)
        except Failed as reason:
            failed.setdefault(str(reason), []).append(trial.family)
        except NotApplicable as reason:
            absent.setdefault(str(reason), []).append(trial.family)
    if failed:
        raise Failed(_joined(failed))
    if not passed:
        raise NotApplicable(_joined(absent, all_alike=True) or "no family to check it on")
    return _joined(passed)


def _joined(notes: dict[str, list[str]], *, all_alike: bool = False) -> str:
    """Joins what was said of families, those of whom the same was said together."""
    if all_alike and len(notes) == 1:
        return next(iter(notes))
    return "; ".join(f"{', '.join(names)}: {note}" for note, names in notes.items() if note)
