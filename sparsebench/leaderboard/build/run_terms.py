"""The terms that runs were trained on: shared ones, differing ones, key by key."""

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

RunTerms = dict[str, str]
"""Dotted key -> value as text: ``{"training.budget": "3 epochs"}``."""


def canonical(record: BaseModel | None) -> str:
    """Return a text that is the same for equal records, whatever the order of their keys."""
    return json.dumps(record and record.model_dump(mode="json"), sort_keys=True)


def canonical_terms(spec: RunSpec) -> str:
    """Return a text that is the same for equal terms: budget, schedule, selection."""
    return _canonical_terms(spec.training, spec.held_out)


@cache
def _canonical_terms(training: Training, held_out: HeldOut | None) -> str:
    return canonical(training) + canonical(held_out)


def training_terms(spec: RunSpec) -> RunTerms:
    """Return how a run was trained and its checkpoint selected."""
    return dict(_training_terms(spec.training, spec.held_out))


@cache  # thousands of runs share few terms
def _training_terms(training: Training, held_out: HeldOut | None) -> RunTerms:
    parts = {"training": training, "held_out": held_out}
    return {
        path: value
        for name, part in parts.items()
        if part is not None
        for path, value in _flat(part.model_dump(mode="json"), f"{name}.").items()
    }


def method_terms(spec: RunSpec) -> RunTerms:
    """Return the method of a run, its version and its settings."""
    method = spec.method
    known = {"method": method.name, "version": method.version}
    return {**known, **_flat(method.model_dump(mode="json")["settings"])}


def common(terms: Iterable[RunTerms]) -> RunTerms:
    """Return the terms with the values that all share; ``varies`` where they differ."""
    known = list(terms)
    keys = sorted({key for each in known for key in each})
    values = {key: {each.get(key, UNSET) for each in known} for key in keys}
    return {key: found.pop() if len(found) == 1 else "varies" for key, found in values.items()}


def differences(terms: Mapping[str, RunTerms]) -> dict[str, dict[str, list[str]]]:
    """Return the keys in which rows differ.

    Args:
        terms: Name of a row -> its terms.

    Returns:
        Key -> value -> the names of the rows that have it, in their order.
    """
    found: dict[str, dict[str, list[str]]] = {}
    for key in sorted({key for known in terms.values() for key in known}):
        values = group_by(terms, lambda name, key=key: terms[name].get(key, UNSET))  # type: ignore[misc]
        if len(values) > 1:
            found[key] = values
    return found


def group_by(items: Iterable[T], key: Callable[[T], str]) -> dict[str, list[T]]:
    """Return the items by their key, in the order of the keys."""
    groups: dict[str, list[T]] = {}
    for item in items:
        groups.setdefault(key(item), []).append(item)
    return dict(sorted(groups.items()))


def _flat(content: Mapping[str, Any], prefix: str = "") -> RunTerms:
    terms: RunTerms = {}
    for name, value in content.items():
        if isinstance(value, dict):
            terms |= _flat(value, f"{prefix}{name}.")
        else:
            terms[f"{prefix}{name}"] = value if isinstance(value, str) else json.dumps(value)
    return terms
