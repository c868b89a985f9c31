"""Reading YAML that people write: nothing but plain data, with the line of every key.

Scalars are read by the core schema of YAML 1.2, in which ``1e-4`` is a number and ``no``, ``010``,
``1:30`` and ``2024-01-01`` are texts. Anchors, aliases and merge keys work.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml

from sparsebench.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LARGEST = 1_000_000
"""The most bytes that a file may have."""

MOST_NODES = 20_000
"""The most keys and values that a file may stand for, every alias written out."""

_NULL = r"~|null|Null|NULL|"
_BOOL = r"true|True|TRUE|false|False|FALSE"
_INT = r"[-+]?(?:0|[1-9][0-9]*)"
_FLOAT = (
    r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?"
    r"|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
)


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012


for _name, _pattern, _first in [
    ("null", _NULL, ["~", "n", "N", ""]),
    ("bool", _BOOL, list("tTfF")),
    ("int", _INT, list("-+0123456789")),
    ("float", _FLOAT, list("-+0123456789.")),
    ("merge", "<<", ["<"]),
]:
    _Loader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_name}", re.compile(f"^(?:{_pattern})$"), _first
    )


@dataclass(frozen=True)
class Document:
    """The content of one file.

    Attributes:
        data: Nested dictionaries, lists and scalars.
        lines: Path of keys -> line, from 1. An item of a list is found by its index and, if it
            is a text, by that text too.
        repeats: Line and name of every key that its mapping has before.
    """

    data: Any
    lines: dict[tuple[str, ...], int] = field(default_factory=dict)
    repeats: tuple[tuple[int, str], ...] = ()


def read(path: Path) -> Document:
    """Reads a file.

    Raises:
        UserError: It cannot be read, is no YAML, asks for anything but plain data, or is too big.
    """
    try:
        if path.stat().st_size > LARGEST:
            raise UserError(f"{path}: over {LARGEST:,} bytes are not read")
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error})") from None
    return parse(text, name=str(path))


def parse(text: str, *, name: str) -> Document:
    """Reads a text.

    Args:
        text: The YAML.
        name: What messages call it, such as the file it came from.

    Raises:
        UserError: It is no YAML, asks for anything but plain data, or stands for too much.
    """
    try:
        return _parse(text, name=name)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{name}:{mark.line + 1}" if mark else name
        raise UserError(f"{where}: {error.problem or error.context}") from None
    except (yaml.YAMLError, ValueError) as error:
        raise UserError(f"{name}: {str(error).partition(chr(10))[0]}") from None
    except RecursionError:
        raise UserError(f"{name}: nested too deeply") from None


def _parse(text: str, *, name: str) -> Document:
    loader = _Loader(text)
    try:
        root = loader.get_single_node()
        if root is None:
            return Document(data=None)
        if _size(root, {}) > MOST_NODES:
            raise UserError(
                f"{name}: its aliases stand for over {MOST_NODES:,} keys and values, or contain "
                "themselves"
            )
        repeats = tuple(_repeats(root, seen=set()))
        data = loader.construct_document(root)
    finally:
        loader.dispose()
    return Document(data=data, lines=dict(_lines(root, ())), repeats=repeats)


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return node.value if isinstance(node, yaml.SequenceNode) else []


def _size(node: yaml.Node, sizes: dict[int, int]) -> int:
    """Counts the nodes as if every alias were written out; what contains itself is too much."""
    if id(node) not in sizes:
        sizes[id(node)] = MOST_NODES + 1  # if it is met again before it is counted
        sizes[id(node)] = 1 + sum(_size(child, sizes) for child in _children(node))
    return sizes[id(node)]


def _repeats(node: yaml.Node, *, seen: set[int]) -> Iterator[tuple[int, str]]:
    if id(node) in seen:
        return
    seen.add(id(node))
    if isinstance(node, yaml.MappingNode):
        names = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in names:
                    yield key.start_mark.line + 1, key.value
                names.add(key.value)
    for child in _children(node):
        yield from _repeats(child, seen=seen)


def _lines(node: yaml.Node, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], int]]:
    """Yields the line of every path; of a path that comes twice, the last is what counts."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*path, str(key.value))
            yield inner, key.start_mark.line + 1
            yield from _lines(value, inner)
    elif isinstance(node, yaml.SequenceNode):
        texts = [item for item in node.value if item.tag == "tag:yaml.org,2002:str"]
        yield from (((*path, item.value), item.start_mark.line + 1) for item in texts)
        for index, item in enumerate(node.value):
            inner = (*path, str(index))
            yield inner, item.start_mark.line + 1
            yield from _lines(item, inner)
