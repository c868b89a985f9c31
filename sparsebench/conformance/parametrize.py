"""The checks as tests of pytest, for the tests of a plugin."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sparsebench.conformance.check import Status
from sparsebench.conformance.checks import CHECKS, expected_failures
from sparsebench.conformance.method_under_test import MethodUnderTest
from sparsebench.models import Family

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sparsebench.conformance.check import Check
    from sparsebench.method import Method


def parametrize_with_checks(
    methods: Iterable[str | Method], *, families: Iterable[Family] = Family
) -> Any:
    """Makes one test of every method and check: a decorator for a test with an argument ``check``.

    The test has only to call it. A check that does not apply is skipped; one that a method
    expects to fail is an ``xfail`` with the method's reason, and fails if it passes. Under
    pytest-xdist, give ``--dist loadgroup`` so that the checks of a method share their runs.

    Args:
        methods: Names of installed methods, which get their defaults, or instances not yet used.
        families: The families to check them on.

    Raises:
        UserError: No such method is installed, or it cannot be used.
    """
    import pytest

    families = tuple(families)
    shelf = _Shelf()
    tests = []
    for method in methods:
        subject = MethodUnderTest.of(method, families=families)
        expected = expected_failures(subject)
        group = [pytest.mark.xdist_group(subject.name)] if "xdist.plugin" in sys.modules else []
        for check in CHECKS:
            marks = list(group)
            if check.name in expected:
                marks.append(pytest.mark.xfail(reason=expected[check.name], strict=True))
            case = CheckCase(check, subject, shelf)
            tests.append(pytest.param(case, id=f"{subject.name}-{check.name}", marks=marks))
    return pytest.mark.parametrize("check", tests)


@dataclass
class _Shelf:
    """Holds the method whose lives are kept: one at a time."""

    subject: MethodUnderTest | None = None

    def put(self, subject: MethodUnderTest) -> None:
        if self.subject is not None and self.subject is not subject:
            self.subject.forget()
        self.subject = subject


@dataclass(frozen=True)
class CheckCase:
    """One check of one method; call it to make it.

    Attributes:
        check: The check.
        subject: The method.
    """

    check: Check
    subject: MethodUnderTest
    _shelf: _Shelf = field(repr=False)

    def __call__(self) -> None:
        """Makes the check in the terms of pytest: passes, fails or skips."""
        import pytest

        self._shelf.put(self.subject)
        finding = self.check.find(self.subject)
        if finding.status is Status.NOT_APPLICABLE:
            pytest.skip(finding.note)
        if finding.status is Status.FAIL:
            pytest.fail(f"{self.subject.name}: {finding.note}", pytrace=False)
