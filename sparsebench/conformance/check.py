"""A named check of a method, and the decorators that create one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sparsebench.conformance.outcomes import (
    CheckFailed,
    CheckOutcome,
    NotApplicable,
    error_text,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sparsebench.conformance.method_under_test import FamilyUnderTest, MethodUnderTest


@dataclass(frozen=True)
class CheckResult:
    """The result of one check of one method.

    Attributes:
        check: The check.
        outcome: Whether the method passes it.
        note: The reason, or a remark.
    """

    check: Check
    outcome: CheckOutcome
    note: str = ""


@dataclass(frozen=True)
class Check:
    """One requirement of the contract.

    Attributes:
        name: Its name.
        description: The requirement, in one line.
        applies_to: The methods that it applies to.
        test: Returns a remark, or raises ``CheckFailed`` or ``NotApplicable``.
    """

    name: str
    description: str
    applies_to: str
    test: Callable[[MethodUnderTest], str]

    def run(self, method: MethodUnderTest) -> CheckResult:
        """Check a method, and return a result whatever the method does."""
        try:
            return CheckResult(self, CheckOutcome.PASS, self.test(method))
        except NotApplicable as reason:
            return CheckResult(self, CheckOutcome.NOT_APPLICABLE, str(reason))
        except CheckFailed as reason:
            return CheckResult(self, CheckOutcome.FAIL, str(reason))
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - a method may fail in any way, also by exit
            return CheckResult(self, CheckOutcome.FAIL, error_text(error))


def of_method(applies_to: str) -> Callable[[Callable[[MethodUnderTest], str | None]], Check]:
    """Create a check from a function that looks at a method as a whole.

    The name and the description of the check are those of the function.
    """

    def create(function: Callable[[MethodUnderTest], str | None]) -> Check:
        return _check(function, applies_to, lambda method: function(method) or "")

    return create


def of_family(
    applies_to: str, *, first_only: bool = False
) -> Callable[[Callable[[FamilyUnderTest], str | None]], Check]:
    """Create a check from a function that looks at a method on one family.

    Args:
        applies_to: The methods that it applies to.
        first_only: Whether to look at the first family only.
    """

    def create(function: Callable[[FamilyUnderTest], str | None]) -> Check:
        def test(method: MethodUnderTest) -> str:
            try:
                tested = method.tested_families
            except Exception as error:
                raise NotApplicable("refuses() fails: see runs_on_every_family") from error
            return _over_families(tested[:1] if first_only else tested, function)

        return _check(function, applies_to, test)

    return create


def _check(
    function: Callable[..., object], applies_to: str, test: Callable[[MethodUnderTest], str]
) -> Check:
    text = (function.__doc__ or "").strip().splitlines()[0]
    return Check(function.__name__, text, applies_to, test)


def _over_families(
    families: Sequence[FamilyUnderTest], function: Callable[[FamilyUnderTest], str | None]
) -> str:
    """Look at every family; fail if one fails, and apply if the check applies to one."""
    passed: dict[str, list[str]] = {}
    failed: dict[str, list[str]] = {}
    absent: dict[str, list[str]] = {}
    for tested in families:
        try:
            passed.setdefault(function(tested) or "", []).append(tested.family)
        except CheckFailed as reason:
            failed.setdefault(str(reason), []).append(tested.family)
        except NotApplicable as reason:
            absent.setdefault(str(reason), []).append(tested.family)
    if failed:
        raise CheckFailed(_joined(failed))
    if not passed:
        raise NotApplicable(_joined(absent, all_alike=True) or "no family to check it on")
    return _joined(passed)


def _joined(notes: dict[str, list[str]], *, all_alike: bool = False) -> str:
    """Join the notes of families; families with the same note share it."""
    if all_alike and len(notes) == 1:
        return next(iter(notes))
    return "; ".join(f"{', '.join(names)}: {note}" for note, names in notes.items() if note)
