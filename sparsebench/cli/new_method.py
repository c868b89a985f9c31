"""``sparsebench new-method``: a plugin package to start from, whose tests pass."""

from __future__ import annotations

import re
import shlex
from enum import StrEnum
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Annotated

import typer

from sparsebench.cli.output import plain_console
from sparsebench.errors import UserError

_NAME = re.compile(r"[a-z][a-z0-9]*(?:[-_][a-z0-9]+)*")


class Kind(StrEnum):
    """The method to start from."""

    PLAIN = "plain"
    """It trains a part of the backbone."""

    DATA = "data"
    """It chooses what trains by the gradients of training examples."""

    OPTIMIZER = "optimizer"
    """It brings an optimizer."""

    TEACHER = "teacher"
    """It learns from a trained model."""


_FILES = {
    "pyproject.toml.template": "pyproject.toml",
    "README.md.template": "README.md",
    "{method}.template": "src/{module}/__init__.py",
    "test_conformance.py.template": "tests/test_conformance.py",
}
"""Template -> where it goes in the package."""

_KINDS = {
    Kind.PLAIN: {
        "method": "method.py",
        "summary": "As it was made it\ntrains the last blocks of a backbone and its task head.",
        "setting": "blocks=2",
    },
    Kind.DATA: {
        "method": "method_with_data.py",
        "summary": "As it was made it\ntrains the weights with the largest gradients on some"
        " training examples.",
        "setting": "share=0.01",
    },
    Kind.OPTIMIZER: {
        "method": "method_with_optimizer.py",
        "summary": "As it was made it\ntrains every parameter with Lion, an optimizer of its own.",
        "setting": "beta=0.95",
    },
    Kind.TEACHER: {
        "method": "method_with_teacher.py",
        "summary": "As it was made it\ntrains a classifier on the logits of a teacher, the row"
        " `full` of the suite.",
        "setting": "temperature=4",
    },
}
"""Kind -> its template, what it does, and a setting to change."""


def new_method(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help="The name of the method in suites, such as my-method."),
    ],
    *,
    to: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="The folder; it is created. By default NAME."),
    ] = None,
    kind: Annotated[
        Kind,
        typer.Option(
            help="The method to start from: one that trains a part of the backbone, looks at "
            "training data, brings an optimizer, or learns from a teacher."
        ),
    ] = Kind.PLAIN,
) -> None:
    """Write a plugin package for a new method, with an entry point and tests that pass.

    'pip install -e' installs it; it is then a method like any other.

    For example:

        sparsebench new-method my-method
        pip install -e my-method
        sparsebench check my-method
        sparsebench new-method my-distillation --kind teacher
    """
    _check_name(name)
    folder = to or Path(name)
    written = write_package(name, folder, kind)
    console = plain_console()
    for path in written:
        console.print(str(path))
    install = f"pip install -e {shlex.quote(str(folder))}"
    console.print(f"\nNext: {install}, then sparsebench check {name}")


def write_package(name: str, folder: Path, kind: Kind = Kind.PLAIN) -> list[Path]:
    """Write the package of a method; return its files.

    Args:
        name: The name of the method.
        folder: The folder; it is created if it does not exist.
        kind: The method to start from.

    Raises:
        UserError: The folder is not empty, or it cannot be written.
    """
    words = re.split("[-_]", name)
    names = {
        "name": name,
        "distribution": f"sparsebench-{name.replace('_', '-')}",
        "module": f"sparsebench_{name.replace('-', '_')}",
        "class_name": "".join(word.capitalize() for word in words),
    }
    names |= _KINDS[kind]
    templates = files("sparsebench.cli") / "templates"
    try:
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise UserError(f"{folder} exists and is not empty: name another with --to")
        written = []
        for template, place in _FILES.items():
            path = folder / place.format(module=names["module"])
            path.parent.mkdir(parents=True, exist_ok=True)
            source = templates / template.format(method=names["method"])
            text = source.read_text(encoding="utf-8")
            path.write_text(Template(text).substitute(names), encoding="utf-8")
            written.append(path)
    except OSError as error:
        raise UserError(f"{folder} cannot be written: {error}") from error
    return written


def _check_name(name: str) -> None:
    """Check that a method may have a name.

    Raises:
        UserError: A letter is not allowed, or the name is taken.
    """
    from sparsebench.method_registry import METHODS
    from sparsebench.suite import RESERVED

    if not _NAME.fullmatch(name):
        near = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-").lstrip("0123456789-")
        hint = f"; did you mean {near!r}?" if _NAME.fullmatch(near) else ""
        raise UserError(
            f"{name!r} is no name for a method: start with a lower-case letter, and use lower-case "
            f"letters, digits, and single '-' or '_' between them{hint}"
        )
    if name in METHODS:
        raise UserError(f"the name {name!r} is taken, by {METHODS.entries[name].package}")
    if name in RESERVED or name == "methods":
        raise UserError(f"the name {name!r} is reserved in suites: choose another")
