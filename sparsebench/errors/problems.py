"""Problems in files and options of users: the place, the mistake, and the nearest valid name."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import UnionType
from typing import TYPE_CHECKING, Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from sparsebench.errors import UserError, suggestion

if TYPE_CHECKING:
    from collections.abc import Iterable

    from pydantic import ValidationError
    from pydantic_core import ErrorDetails

KeyPath = tuple[str | int, ...]
"""The keys that lead to a value in nested settings."""

_SHAPES = {
    "dict_type": "should be a mapping of keys to values",
    "list_type": "should be a list",
    "model_type": "should be a mapping of keys to values",
    "tuple_type": "should be a list",
}


class Severity(StrEnum):
    """The consequence of a problem."""

    ERROR = "error"
    """The runs cannot start."""

    NOTE = "note"
    """Some runs will be skipped, or something could not be checked."""


@dataclass(frozen=True)
class Problem:
    """One problem.

    Attributes:
        severity: The consequence.
        where: The place, such as ``"glue.yaml:12"`` or ``"--methods"``.
        message: The mistake and what to do.
    """

    severity: Severity
    where: str
    message: str

    def __str__(self) -> str:
        """Return the line to print, without the severity."""
        return f"{self.where}: {self.message}"


def raise_errors(problems: Iterable[Problem]) -> None:
    """Raise one ``UserError`` with a line for every error, if there are any; notes do not count."""
    errors = [str(problem) for problem in problems if problem.severity is Severity.ERROR]
    if errors:
        raise UserError("\n".join(errors))


def in_order(problems: Iterable[Problem]) -> list[Problem]:
    """Sort problems by line, those of the command line first; the sort is stable."""

    def line(problem: Problem) -> int:
        _, _, number = problem.where.rpartition(":")
        return int(number) if number.isdecimal() else 0

    return sorted(problems, key=line)


def explain(
    error: ValidationError, model: type[BaseModel], data: object
) -> list[tuple[KeyPath, str]]:
    """Explain a validation error of pydantic in plain words.

    Args:
        error: The error.
        model: The class that validated the data.
        data: The data.

    Returns:
        The path of each invalid value, as far as it exists in the data, with a message. The
        messages for the alternatives of a union are joined.
    """
    found: dict[KeyPath, list[str]] = {}
    details = error.errors()
    bad_items = {detail["loc"][:-1] for detail in details}
    for detail in details:
        if detail["type"] == "too_short" and detail["loc"] in bad_items:
            continue  # only because of its invalid items, which have messages of their own
        path = _existing(detail["loc"], data)
        messages = found.setdefault(path, [])
        message = _message(detail, model=model, path=path)
        if message not in messages:
            messages.append(message)
    return [(path, ", or ".join(messages)) for path, messages in found.items()]


def located(path: KeyPath, message: str) -> str:
    """Return the message with its path: ``training.warmup: should be less than 1``."""
    return f"{'.'.join(map(str, path))}: {message}" if path else message


def place_of(path: KeyPath, places: Mapping[tuple[str, ...], str]) -> str:
    """Return the place of a path, or of the nearest path above it; the empty path has one."""
    keys = tuple(map(str, path))
    while keys not in places:
        keys = keys[:-1]
    return places[keys]


def _existing(loc: KeyPath, data: object) -> KeyPath:
    """Cut off the parts that pydantic adds to a path: alternatives of a union, missing keys."""
    for depth, key in enumerate(loc):
        is_item = isinstance(data, list | tuple) and isinstance(key, int)
        if not is_item and not (isinstance(data, Mapping) and key in data):
            return loc[:depth]
        data = data[key]  # type: ignore[index]
    return loc


def _message(detail: ErrorDetails, *, model: type[BaseModel], path: KeyPath) -> str:
    kind, context, given = detail["type"], detail.get("ctx", {}), detail["input"]
    if kind == "extra_forbidden":
        return f"unknown key{suggestion(str(path[-1]), _keys(model, path[:-1]))}"
    if kind == "missing":
        return f"the key {detail['loc'][-1]!r} is missing"
    if kind in {"literal_error", "enum"}:
        options = re.findall(r"'([^']*)'", context["expected"]) or [context["expected"]]
        return f"unknown value {given!r}{suggestion(str(given), options)}"
    if kind in {"value_error", "assertion_error"}:
        return str(context["error"])
    if kind == "too_short":
        least = context["min_length"]
        return f"should have at least {least} {'entry' if least == 1 else 'entries'}"
    text = _SHAPES.get(kind) or detail["msg"].partition(", unable to parse")[0]
    text = text.removeprefix("Input ").replace(" after validation", "")
    ending = "" if kind == "too_long" else f", not {_short(given)}"
    return f"{text[0].lower()}{text[1:]}{ending}"


def _keys(annotation: object, path: KeyPath) -> set[str]:
    """Return the known keys at a path below a type."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _keys(arguments[0], path)
    if origin in (Union, UnionType):
        return set().union(*(_keys(argument, path) for argument in arguments))
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        fields = annotation.model_fields
        if not path:
            return set(fields)
        return _keys(fields[str(path[0])].annotation, path[1:]) if path[0] in fields else set()
    if path and arguments:
        return _keys(arguments[-1 if origin is dict else 0], path[1:])
    return set()


def _short(value: Any, *, limit: int = 60) -> str:
    text = repr(value)
    return text if len(text) <= limit else f"{text[:limit]}…"
