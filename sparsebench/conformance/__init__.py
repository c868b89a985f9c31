"""Checks that every method keeps the contract, by whole runs on tiny random backbones.

The tests of a plugin run them too::

    @parametrize_with_checks(["my-method"])
    def test_my_method_conforms(check):
        check()
"""

from __future__ import annotations

from sparsebench.conformance.check import Check, CheckResult
from sparsebench.conformance.checks import CHECKS, check_method, parametrize_with_checks
from sparsebench.conformance.method_under_test import MethodUnderTest
from sparsebench.conformance.outcomes import CheckOutcome

__all__ = [
    "CHECKS",
    "Check",
    "CheckOutcome",
    "CheckResult",
    "MethodUnderTest",
    "check_method",
    "parametrize_with_checks",
]
