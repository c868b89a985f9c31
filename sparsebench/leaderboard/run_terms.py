"""What rows have in common and what tells them apart, key by key."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from pydantic import BaseModel

    from sparsebench.schema.spec import RunSpec
    from sparsebench.schema.training import HeldOut, Training

T = TypeVar("T")

UNSET = "unset"

Facts = dict[str, str]
"""Dotted key -> value as text: ``{"training.budget": "3 epochs"}``."""


def canonical(record: BaseModel | None) -> str:
    """Returns a text that is the same for equal records, whatever the order of their keys."""
    return json.dumps(record and record.model_dump(mode="json"), sort_keys=True)


def terms(spec: RunSpec) -> str:
    """Returns a text that is the same for runs on the same terms: budget, schedule, selection."""
    return _terms(spec.training, spec.held_out)


@cache
def _terms(training: Training, held_out: HeldOut | None) -> str:
    return canonical(training) + canonical(held_out)


def term_facts(spec: RunSpec) -> Facts:
    """Returns the terms of a run, key by key."""
    return dict(_term_facts(spec.training, spec.held_out))


@cache
def _term_facts(training: Training, held_out: HeldOut | None) -> Facts:
    """Thousands of runs share few terms."""
    parts = {"training": training, "held_out": held_out}
    return {
        path: value
        for name, part in parts.items()
        if part is not None
        for path, value in _flat(part.model_dump(mode="json"), f"{name}.").items()
    }


def method_facts(spec: RunSpec) -> Facts:
    """Returns the method of a run, key by key."""
    method = spec.method
    known = {"method": method.name, "version": method.version}
    return {**known, **_flat(method.model_dump(mode="json")["settings"])}


def common(facts: Iterable[Facts]) -> Facts:
    """Returns what all of them say alike; where they do not, ``varies``."""
    known = list(facts)
    keys = sorted({key for each in known for key in each})
    values = {key: {each.get(key, UNSET) for each in known} for key in keys}
    return {key: said.pop() if len(said) == 1 else "varies" for key, said in values.items()}


def differences(facts: Mapping[str, Facts]) -> dict[str, dict[str, list[str]]]:
    """Returns the keys in which rows differ.

    Args:
        facts: The facts of each row, by its name.

    Returns:
        Key -> value -> the names of the rows that have it, in the order they came.
    """
    found: dict[str, dict[str, list[str]]] = {}
    for key in sorted({key for known in facts.values() for key in known}):
        values = group_by(facts, lambda name, key=key: facts[name].get(key, UNSET))  # type: ignore[misc]
        if len(values) > 1:
            found[key] = values
    return found


def group_by(items: Iterable[T], key: Callable[[T], str]) -> dict[str, list[T]]:
    """Returns the items by their key, in the order of the keys."""
    groups: dict[str, list[T]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return dict(sorted(groups.items()))


def _flat(content: Mapping[str, Any], prefix: str = "") -> Facts:
    facts: Facts = {}
    for name, value in content.items():
        if isinstance(value, dict):
            facts |= _flat(value, f"{prefix}{name}.")
        else:
            facts[f"{prefix}{name}"] = value if isinstance(value, str) else json.dumps(value)
    return facts
