"""Reading YAML that people write: plain data only, with the line of every key.

Scalars follow the core schema of YAML 1.2: ``1e-4`` is a number, ``010`` is ten, and ``no``,
``1:30`` and ``2024-01-01`` are texts. Anchors, aliases and merge keys work.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import yaml

from sparsebench.bounded_files import MAX_DIGITS, TOO_DEEP, read_text, require_depth
from sparsebench.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LARGEST = 1_000_000
"""The largest size of a file in bytes."""

MOST_NODES = 20_000
"""The most keys and values of a file, with every alias expanded."""

_TEXT = "tag:yaml.org,2002:str"
_NULL = r"~|null|Null|NULL|"
_BOOL = r"true|True|TRUE|false|False|FALSE"
_INT = r"[-+]?[0-9]+"
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


def _integer(_: _Loader, node: yaml.ScalarNode) -> int:
    text = node.value
    if len(text) > MAX_DIGITS:
        problem = f"a number with {len(text):,} digits; at most {MAX_DIGITS} are allowed"
        raise yaml.MarkedYAMLError(problem=problem, problem_mark=node.start_mark)
    return int(text)


_Loader.add_constructor("tag:yaml.org,2002:int", _integer)


@dataclass(frozen=True)
class Document:
    """The content of one file.

    Attributes:
        data: Nested dictionaries, lists and scalars.
        lines: Path of keys -> line, from 1. An item of a list has its index as its key and, if it
            is a text, also that text.
        repeats: Line and name of every key that its mapping contains before.
    """

    data: Any
    lines: dict[tuple[str, ...], int] = field(default_factory=dict)
    repeats: tuple[tuple[int, str], ...] = ()


def read(path: Path) -> Document:
    """Read a file.

    Raises:
        UserError: The file cannot be read, is too large, is not YAML, or contains more than plain
            data.
    """
    return parse(read_text(path, limit=LARGEST), name=str(path))


def parse(text: str, *, name: str) -> Document:
    """Parse a text.

    Args:
        text: The YAML.
        name: The name of the text in messages, such as its file.

    Raises:
        UserError: The text is not YAML, contains more than plain data, or exceeds a limit.
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
        raise UserError(f"{name}: {TOO_DEEP}") from None


def _parse(text: str, *, name: str) -> Document:
    loader = _Loader(text)
    try:
        root = loader.get_single_node()
        if root is None:
            return Document(data=None)
        if _size(root, {}) > MOST_NODES:
            raise UserError(
                f"{name}: its aliases expand to more than {MOST_NODES:,} keys and values, or "
                "contain themselves"
            )
        nodes = list(_unique(root, set()))
        for node in nodes:
            _reject_tags(loader, node, name=name)
        repeats = tuple(repeat for node in nodes for repeat in _repeats(node))
        data = loader.construct_document(root)
        require_depth(data, name=name)
    finally:
        loader.dispose()
    return Document(data=data, lines=dict(_lines(root, ())), repeats=repeats)


def _children(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.MappingNode):
        return [part for pair in node.value for part in pair]
    return node.value if isinstance(node, yaml.SequenceNode) else []


def _size(node: yaml.Node, sizes: dict[int, int]) -> int:
    """Count the nodes with every alias expanded; a node that contains itself exceeds the limit."""
    if id(node) not in sizes:
        sizes[id(node)] = MOST_NODES + 1  # in case the node contains itself
        sizes[id(node)] = 1 + sum(_size(child, sizes) for child in _children(node))
    return sizes[id(node)]


def _unique(node: yaml.Node, seen: set[int]) -> Iterator[yaml.Node]:
    """Yield every node once, in the order of the file."""
    if id(node) in seen:
        return
    seen.add(id(node))
    yield node
    for child in _children(node):
        yield from _unique(child, seen)


def _reject_tags(loader: _Loader, node: yaml.Node, *, name: str) -> None:
    """Reject a node whose tag differs from the one that its plain form has."""
    resolve: Callable[..., str] = loader.resolve
    plain = resolve(type(node), node.value, (True, False))
    if node.tag not in (plain, _TEXT):
        tag = node.tag.replace("tag:yaml.org,2002:", "!!")
        raise UserError(f"{name}:{_line(node)}: the tag {tag!r} is not allowed: write plain values")


def _repeats(node: yaml.Node) -> Iterator[tuple[int, str]]:
    names = set()
    for key, _ in node.value if isinstance(node, yaml.MappingNode) else ():
        if isinstance(key, yaml.ScalarNode):
            if key.value in names:
                yield _line(key), key.value
            names.add(key.value)


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


def _lines(node: yaml.Node, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], int]]:
    """Yield the line of every path; if a path is repeated, the last one counts."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            inner = (*path, str(key.value))
            yield inner, _line(key)
            yield from _lines(value, inner)
    elif isinstance(node, yaml.SequenceNode):
        texts = [item for item in node.value if item.tag == _TEXT]
        yield from (((*path, item.value), _line(item)) for item in texts)
        for index, item in enumerate(node.value):
            inner = (*path, str(index))
            yield inner, _line(item)
            yield from _lines(item, inner)
