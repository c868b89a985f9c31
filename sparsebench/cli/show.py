"""``sparsebench show``: details of a method, a task, a suite or another name of ``list``."""

from __future__ import annotations

import difflib
from typing import TYPE_CHECKING, Annotated, Any

import typer

from sparsebench.api.console import activity
from sparsebench.cli.listing import docstring
from sparsebench.cli.output import plain_console, print_table
from sparsebench.cli.settings import describe_settings
from sparsebench.errors import UnknownNameError, UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from pydantic import BaseModel
    from rich.console import Console

    from sparsebench.registry import Registry


def show(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="A name that 'list' shows, or KIND:NAME where two things share it."
        ),
    ],
) -> None:
    """Show a method with its settings, or the details of another name that 'list' shows.

    A suite is printed as its file, with the comments.

    For example:

        sparsebench show lora
        sparsebench show training
        sparsebench show suite:quick
    """
    show_on(plain_console(), name)


def show_on(console: Console, name: str) -> None:
    """Print the details of a name.

    Raises:
        UserError: The name is unknown or ambiguous, or cannot be used.
    """
    with activity("Reading plugins"):
        kind, name = _resolve(name, known=_names())
    _SHOW[kind](console, name)


def _resolve(name: str, *, known: Mapping[str, Sequence[str]]) -> tuple[str, str]:
    """Return the kind of a name, and the full name."""
    kind, _, rest = name.partition(":")
    if kind in known and rest:
        if rest not in known[kind]:
            raise UnknownNameError(kind, rest, known=known[kind])
        return kind, rest
    if name.endswith((".yaml", ".yml")):
        return "suite", name
    for full in (name, f"random:{name}", f"quick/{name}"):
        kinds = [kind for kind, names in known.items() if full in names]
        if len(kinds) > 1 and "section" in kinds:
            kinds.remove("section")  # ``show costs`` is the suite
        if len(kinds) > 1:
            options = " or ".join(f"{kind}:{name}" for kind in kinds)
            raise UserError(f"{name!r} is a {' and a '.join(kinds)}: write {options}")
        if kinds:
            return kinds[0], full
    names = [name for names in known.values() for name in names]
    if difflib.get_close_matches(name, names):
        raise UnknownNameError("name", name, known=names)
    kinds = [f"'sparsebench list {kind}s'" for kind in known]
    raise UserError(f"unknown name {name!r}; see {', '.join(kinds)}")


def _names() -> dict[str, list[str]]:
    from sparsebench.execution.executors import EXECUTORS
    from sparsebench.method_registry import METHODS
    from sparsebench.models import ARCHITECTURES
    from sparsebench.models.sources import quick_backbones
    from sparsebench.profiling.runtimes import RUNTIMES
    from sparsebench.suite import SECTIONS
    from sparsebench.suite.files import suites
    from sparsebench.tasks import TASKS

    return {
        "method": list(METHODS),
        "task": list(TASKS),
        "suite": list(suites()),
        "model": [*quick_backbones(), *(f"random:{name}" for name in ARCHITECTURES)],
        "executor": list(EXECUTORS),
        "runtime": list(RUNTIMES),
        "section": list(SECTIONS),
    }


def _method(console: Console, name: str) -> None:
    from sparsebench.method_registry import METHODS

    method = METHODS.get(name)
    facts = {"paper": method.paper, "version": method.version, **_origin(METHODS, name)}
    _print(console, f"{name} (method)", facts, text=docstring(method))
    console.print("\nSettings")
    _settings(console, method.Config, called="setting")


def _task(console: Console, name: str) -> None:
    from sparsebench.models import FAMILIES
    from sparsebench.tasks import TASKS

    task = TASKS.get(name)
    families = [name for name in FAMILIES if set(FAMILIES.get(name).forms) & set(task.forms)]
    facts = {
        "group": task.group,
        "forms": ", ".join(task.forms),
        "families": ", ".join(families),
        "classes": ", ".join(task.labels),
        "headline": task.headline_metric,
        "--data DIR": ", ".join(task.official_files()),
        "version": task.version,
        **_origin(TASKS, name),
    }
    _print(console, f"{task.title} (task {name})", facts, text=task.description)


def _suite(console: Console, name: str) -> None:
    from sparsebench.cli.validate import summary
    from sparsebench.suite.files import find_suite, load_suite

    path = find_suite(name)
    suite, text = load_suite(path).suite, path.read_text(encoding="utf-8-sig")
    if console.is_terminal:
        _print(console, summary(suite), {"file": str(path)}, text=suite.description)
        console.print()
    console.print(text.rstrip(), soft_wrap=True)


def _section(console: Console, name: str) -> None:
    from sparsebench.suite import SECTIONS

    console.print(f"{name} (section of a suite)" if name != "suite" else "suite", style="bold")
    console.print(f"\n{docstring(SECTIONS[name])}\n")
    _settings(console, SECTIONS[name], called="key")


def _settings(console: Console, model: type[BaseModel], *, called: str) -> None:
    print_table(console, (called, "type", "default", "description"), describe_settings(model))


def _model(console: Console, name: str) -> None:
    from transformers import AutoConfig

    from sparsebench.models import model_source

    source = model_source(name)
    folder = source.folder()
    facts = {
        "family": source.family,
        "weights": "random" if folder is None else str(folder),
        "fingerprint": source.fingerprint,
    }
    _print(console, f"{name} (model)", facts)
    config = AutoConfig.for_model(**source.config).to_dict()
    sizes = [(key, f"{value:,}") for key, value in config.items() if type(value) is int and value]
    console.print("\nSizes")
    print_table(console, ("name", "size"), [row for row in sizes if not row[0].endswith("_id")])


def _executor(console: Console, name: str) -> None:
    from sparsebench.execution.executors import EXECUTORS

    executor = EXECUTORS.get(name)
    _print(console, f"{name} (executor)", _origin(EXECUTORS, name), text=docstring(executor))


def _runtime(console: Console, name: str) -> None:
    from sparsebench.profiling.runtimes import RUNTIMES

    runtime = RUNTIMES.get(name)
    _print(console, f"{name} (runtime)", _origin(RUNTIMES, name), text=docstring(runtime))


_SHOW: dict[str, Callable[[Console, str], None]] = {
    "method": _method,
    "task": _task,
    "suite": _suite,
    "model": _model,
    "executor": _executor,
    "runtime": _runtime,
    "section": _section,
}


def _origin(registry: Registry[Any], name: str) -> dict[str, str]:
    entry = registry.entries[name]
    return {"package": f"{entry.package} ({entry.target})"}


def _print(
    console: Console, title: str, facts: Mapping[str, str | None], *, text: str = ""
) -> None:
    console.print(title, style="bold")
    if text:
        console.print(f"\n{text}")
    console.print()
    width = max(map(len, facts))
    for key, value in facts.items():
        if value:
            console.print(f"{key:<{width}}  {value}")
