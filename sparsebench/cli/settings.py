"""The settings of a pydantic model as rows of a table."""

from __future__ import annotations

import json
from enum import Enum
from types import NoneType, UnionType
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic_core import PydanticUndefined, to_jsonable_python

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

_BOUNDS = {"gt": ">", "ge": "≥", "lt": "<", "le": "≤"}


def describe_settings(model: type[BaseModel]) -> list[tuple[str, str, str, str]]:
    """Return name, type, default and description of every field, those of a subclass first."""
    own = [name for name in model.__annotations__ if name in model.model_fields]
    names = dict.fromkeys([*own, *model.model_fields])
    fields = {name: model.model_fields[name] for name in names}
    return [
        (name, _type(field), _default(field), _plain(field.description or ""))
        for name, field in fields.items()
    ]


def _type(field: FieldInfo) -> str:
    bounds = [
        f"{sign} {_number(getattr(bound, name))}"
        for bound in field.metadata
        for name, sign in _BOUNDS.items()
        if getattr(bound, name, None) is not None
    ]
    return " ".join([type_text(field.annotation), ", ".join(bounds)]).strip()


def _number(bound: float) -> str:
    return f"{bound:,}" if isinstance(bound, int) else f"{bound:g}"


def type_text(annotation: Any) -> str:
    """Return a type as a user reads it: ``float``, ``'a' | 'b'``, ``list[str] | null``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "text" if _is_text(annotation) else "mapping"
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return type_text(arguments[0])
    if origin in (Union, UnionType):
        return " | ".join(type_text(argument) for argument in arguments)
    choices = arguments if origin is Literal else _members(annotation)
    if choices:
        return " | ".join(json.dumps(value) for value in choices)
    if origin is not None:
        inner = ", ".join("..." if a is ... else type_text(a) for a in arguments)
        return f"{origin.__name__}[{inner}]"
    return "null" if annotation is NoneType else getattr(annotation, "__name__", str(annotation))


def _is_text(model: type[BaseModel]) -> bool:
    """Whether a model is written as one text, such as a budget, and not key by key."""
    return "__str__" in vars(model)


def _plain(description: str) -> str:
    return " ".join(description.replace("``", "").split())


def _members(annotation: object) -> tuple[object, ...]:
    if isinstance(annotation, type) and issubclass(annotation, Enum):
        return tuple(member.value for member in annotation)
    return ()


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True, validated_data={})
    if value is PydanticUndefined:
        return "must be set"
    if isinstance(value, BaseModel):
        return str(value) if _is_text(type(value)) else "its defaults"
    return json.dumps(to_jsonable_python(value, fallback=str), ensure_ascii=False)
