"""The checks as tests of pytest: one for each method and check, with what a method expects."""

from __future__ import annotations

from typing import Any, ClassVar

import broken_methods as broken
import pytest
from sound_method import Sound, SoundConfig

from sparsebench.conformance import CHECKS, parametrize_with_checks
from sparsebench.errors import UnknownNameError
from sparsebench.models import Family


class Forgiven(broken.RoundsItsSettings):
    expected_failures: ClassVar = {"settings_round_trip": "shows one digit"}


class ForgivenForWhatIsNoCheck(Sound):
    expected_failures: ClassVar = {"settings_round_tripp": "shows one digit"}


def cases_of(*methods: Any) -> dict[str, Any]:
    mark = parametrize_with_checks(methods, families=[Family.BERT]).mark
    return {test.id: test for test in mark.args[1]}


def test_there_is_one_test_for_each_method_and_check() -> None:
    tests = cases_of("lora", Sound(), Sound(SoundConfig(sparsity=0.25)))
    names = ["lora", "Sound", "Sound(sparsity=0.25)"]
    assert list(tests) == [f"{name}-{check.name}" for name in names for check in CHECKS]


def test_a_check_passes_fails_or_is_skipped() -> None:
    (sound,) = cases_of(Sound())["Sound-settings_round_trip"].values
    sound()
    (picky,) = cases_of(broken.TakesAnyValue())["TakesAnyValue-bad_settings_are_refused"].values
    with pytest.raises(pytest.fail.Exception, match="TakesAnyValue: accepts any value: mode"):
        picky()
    (full,) = cases_of("full")["full-penalty_is_differentiable"].values
    with pytest.raises(pytest.skip.Exception, match="has no penalty"):
        full()


def test_what_a_method_expects_to_fail_is_an_xfail_with_its_reason() -> None:
    tests = cases_of(Forgiven())
    marks = {name: [m for m in test.marks if m.name == "xfail"] for name, test in tests.items()}
    (mark,) = marks.pop("Forgiven(sparsity=0.2)-settings_round_trip")
    assert mark.kwargs == {"reason": "shows one digit", "strict": True}
    assert not any(marks.values())


def test_a_failure_expected_of_no_check_is_refused() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'settings_round_trip'"):
        cases_of(ForgivenForWhatIsNoCheck())
