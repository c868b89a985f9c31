"""The checks that every method passes: one life after another, on tiny backbones.

A plugin's own tests make them too::

    @parametrize_with_checks(["my-method"])
    def test_my_method_conforms(check):
        check()
"""

from __future__ import annotations

from sparsebench.conformance.check import Check, Finding, Status
from sparsebench.conformance.checks import CHECKS, check_method
from sparsebench.conformance.method_under_test import MethodUnderTest
from sparsebench.conformance.parametrize import parametrize_with_checks

__all__ = [
    "CHECKS",
    "Check",
    "Finding",
    "MethodUnderTest",
    "Status",
    "check_method",
    "parametrize_with_checks",
]
