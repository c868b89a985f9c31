"""Checks of what needs no run: settings and stages."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import yaml

from sparsebench.conformance.check import Failed, of_method
from sparsebench.conformance.compare import some
from sparsebench.method_registry import setting_faults
from sparsebench.suite import yamlfile

if TYPE_CHECKING:
    from sparsebench.conformance.method_under_test import MethodUnderTest

_UNKNOWN = "no_such_setting"


class _NoValue:
    """A value that suits no setting."""


@of_method("every method")
def settings_have_defaults(subject: MethodUnderTest) -> None:
    """Every setting has a default and a description."""
    fields = type(subject.method()).Config.model_fields
    if missing := [name for name, field in fields.items() if field.is_required()]:
        raise Failed(f"without a default: {some(missing)}")
    if missing := [name for name, field in fields.items() if not field.description]:
        raise Failed(f"without a description: {some(missing)}")


@of_method("every method")
def settings_round_trip(subject: MethodUnderTest) -> None:
    """Settings written as YAML and read again are equal."""
    config = subject.method().config
    text = yaml.safe_dump(config.model_dump(mode="json"))
    again = type(config).model_validate(yamlfile.parse(text, name="settings").data)
    if again != config:
        names = [name for name, value in again if value != getattr(config, name)]
        raise Failed(f"not equal: {some(names)}")


@of_method("every method")
def bad_settings_are_refused(subject: MethodUnderTest) -> None:
    """A setting that is unknown, or has a bad value, is refused by its name."""
    method = type(subject.method())
    if not _is_refused(subject, _UNKNOWN):
        raise Failed(f"takes an unknown setting, {_UNKNOWN!r}, and says nothing")
    if loose := [name for name in method.Config.model_fields if not _is_refused(subject, name)]:
        raise Failed(f"takes any value: {some(loose)}")


def _is_refused(subject: MethodUnderTest, name: str) -> bool:
    faults = setting_faults(type(subject.method()), {name: _NoValue()})
    return any(path[:1] == (name,) or name in message for path, message in faults)


@of_method("every method")
def stages_share_the_budget(subject: MethodUnderTest) -> None:
    """The shares of its stages are positive and sum to 1, and their names differ."""
    stages = list(subject.method().stages())
    shares = [stage.share for stage in stages]
    if not stages or min(shares) <= 0 or not math.isclose(sum(shares), 1):
        raise Failed(f"the shares are {shares}")
    if len({stage.name for stage in stages}) < len(stages):
        raise Failed("two stages have the same name")
