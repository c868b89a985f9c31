"""The list of all checks, and running them: one after another, or as tests of pytest."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sparsebench.conformance import deploying, reproducing, training
from sparsebench.conformance.check import Check, CheckResult
from sparsebench.conformance.method_under_test import MethodUnderTest
from sparsebench.conformance.outcomes import CheckOutcome
from sparsebench.errors import UnknownNameError, UserError
from sparsebench.models import BUILT_IN_FAMILIES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from sparsebench.method import Method
    from sparsebench.models import Family

CHECKS: tuple[Check, ...] = (
    training.settings_have_defaults,
    training.settings_round_trip,
    training.bad_settings_are_refused,
    training.stages_share_the_budget,
    deploying.runs_on_every_family,
    training.starts_pretrained,
    training.trains_what_it_claims,
    training.frozen_values_stay,
    training.penalty_is_differentiable,
    training.evaluation_changes_nothing,
    training.teacher_stays_unchanged,
    deploying.ships_what_it_trained,
    deploying.deploy_leaves_nothing_behind,
    deploying.saves_and_loads,
    deploying.reaches_its_sparsity,
    deploying.masked_weights_stay_zero,
    deploying.schedules_go_by_progress,
    reproducing.same_seed_same_result,
    reproducing.another_seed_another_result,
    reproducing.survives_a_restart,
    reproducing.trains_in_bf16,
    reproducing.leaves_the_process_alone,
)
"""Every check. Each runs for every method, and reports itself if it does not apply."""


def check_method(
    method: MethodUnderTest, only: Collection[str] | None = None
) -> Iterator[CheckResult]:
    """Run every check of a method.

    Args:
        method: The method.
        only: The names of the checks to run; None for all.

    Yields:
        The result of each, in the order of ``CHECKS``.

    Raises:
        UnknownNameError: No check has a name in ``only`` or in the method's ``expected_failures``.
    """
    _check_names(only or ())
    expected = expected_failures(method)
    for check in CHECKS:
        if only is not None and check.name not in only:
            continue
        yield with_expectation(check.run(method), expected.get(check.name))


def expected_failures(method: MethodUnderTest) -> dict[str, str]:
    """Return the checks that a method is known to fail, each with its reason.

    Raises:
        UnknownNameError: No check has one of the names.
        UserError: ``expected_failures`` is not a mapping.
    """
    expected: object = method.method().expected_failures
    if not isinstance(expected, Mapping):
        raise UserError(
            f"expected_failures of {method.name!r} is a {type(expected).__name__}: make it a "
            "mapping from the name of a check to the reason"
        )
    _check_names(expected, where=f"expected_failures of {method.name!r}")
    return dict(expected)


def _check_names(names: Iterable[str], *, where: str | None = None) -> None:
    known = [check.name for check in CHECKS]
    for name in names:
        if name not in known:
            raise UnknownNameError("check", name, known=known, where=where)


def with_expectation(result: CheckResult, reason: str | None) -> CheckResult:
    """Return a result, changed if the method expects to fail the check.

    Args:
        result: The result of the check.
        reason: The reason in ``expected_failures``; None if the method does not list the check.
    """
    if reason is None or result.outcome is CheckOutcome.NOT_APPLICABLE:
        return result
    if result.outcome is CheckOutcome.FAIL:
        return CheckResult(result.check, CheckOutcome.EXPECTED, f"{reason} ({result.note})")
    note = f"it passes, although expected_failures lists it: {reason}"
    return CheckResult(result.check, CheckOutcome.FAIL, note)


def parametrize_with_checks(
    methods: Iterable[str | Method], *, families: Iterable[Family] = BUILT_IN_FAMILIES
) -> Any:
    """Create a pytest for each method and check: a decorator of a test with an argument ``check``.

    The test only calls it. A check that does not apply is skipped. A check that a method expects to
    fail is a strict ``xfail`` with the method's reason. Under pytest-xdist, use
    ``--dist loadgroup``, so that the checks of a method share their runs.

    Args:
        methods: Names of installed methods, which get their default settings, or instances that
            no run has used yet.
        families: The families to check them on.

    Raises:
        UserError: No such method is installed, or it cannot be used.
    """
    import pytest

    families = tuple(families)
    kept = _KeptMethod()
    tests = []
    for named in methods:
        method = MethodUnderTest.of(named, families=families)
        expected = expected_failures(method)
        group = [pytest.mark.xdist_group(method.name)] if "xdist.plugin" in sys.modules else []
        for check in CHECKS:
            marks = list(group)
            if check.name in expected:
                marks.append(pytest.mark.xfail(reason=expected[check.name], strict=True))
            case = CheckCase(check, method, kept)
            tests.append(pytest.param(case, id=f"{method.name}-{check.name}", marks=marks))
    return pytest.mark.parametrize("check", tests)


@dataclass
class _KeptMethod:
    """The one method whose runs are in memory."""

    method: MethodUnderTest | None = None

    def replace(self, method: MethodUnderTest) -> None:
        if self.method is not None and self.method is not method:
            self.method.forget()
        self.method = method


@dataclass(frozen=True)
class CheckCase:
    """One check of one method; a call runs it.

    Attributes:
        check: The check.
        method: The method.
    """

    check: Check
    method: MethodUnderTest
    _kept: _KeptMethod = field(repr=False)

    def __call__(self) -> None:
        """Run the check as a test of pytest: pass, fail or skip."""
        import pytest

        self._kept.replace(self.method)
        result = self.check.run(self.method)
        if result.outcome is CheckOutcome.NOT_APPLICABLE:
            pytest.skip(result.note)
        if result.outcome is CheckOutcome.FAIL:
            pytest.fail(f"{self.method.name}: {result.note}", pytrace=False)
