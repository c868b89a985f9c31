"""The changes that command-line options make to a suite before it is validated."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sparsebench.errors import UnknownNameError, UserError
from sparsebench.errors.problems import KeyPath, Problem, Severity, place_of
from sparsebench.suite import RESERVED, yamlfile
from sparsebench.suite.teachers import teacher_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

TERMS = ("protocol", "revision")
"""Top-level values of a suite that ``--set`` can change."""


@dataclass(frozen=True)
class Overrides:
    """Options that change a suite; None or an empty value changes nothing.

    Attributes:
        methods: Labels of the suite or of its recipes, which keep their settings, or registered
            methods, with default settings; the rows that teach them are added.
        models: Backbones that replace those of the suite.
        tasks: Tasks of the suite, which keep their entries, or other registered tasks.
        seeds: Seeds that replace those of the suite.
        budget: A budget such as ``"230 steps"`` that replaces those of the suite and its tasks.
        sets: Settings such as ``label.key=value`` or ``training.key=value``, with values in YAML.
        profile: Settings of the section ``profile``, by key.
        limits: Settings of the section ``limits``, by key.
        teachers: Whether the rows that teach the chosen methods are added.
    """

    methods: tuple[str, ...] | None = None
    models: tuple[str, ...] | None = None
    tasks: tuple[str, ...] | None = None
    seeds: tuple[int, ...] | None = None
    budget: str | None = None
    sets: tuple[str, ...] = ()
    profile: Mapping[str, object] = field(default_factory=dict)
    limits: Mapping[str, object] = field(default_factory=dict)
    teachers: bool = True


@dataclass
class Draft:
    """The content of a suite before validation.

    Attributes:
        data: The content. YAML aliases share parts of it, so it is never changed in place.
        places: Path of keys -> ``FILE:LINE``, or the option that set it.
        problems: The mistakes found so far.
    """

    data: dict[str, Any]
    places: dict[tuple[str, ...], str]
    problems: list[Problem] = field(default_factory=list)

    def add_error(self, where: str, message: str) -> None:
        """Add an error to the problems."""
        self.problems.append(Problem(Severity.ERROR, where, message))

    def put(self, path: KeyPath, value: object, *, where: str) -> None:
        """Set the value at a path.

        Raises:
            UserError: A part of the path has a value without keys.
        """
        self.data = _put(self.data, path, value)
        keys = tuple(map(str, path))
        self.places = {k: v for k, v in self.places.items() if k[: len(keys)] != keys}
        self.places[keys] = where

    def where(self, path: KeyPath) -> str:
        """Return the place of a value, or of the nearest mapping around it."""
        return place_of(path, self.places)


def apply(
    overrides: Overrides, draft: Draft, *, methods: Iterable[str], tasks: Iterable[str]
) -> None:
    """Apply options to a draft; mistakes become problems of the draft.

    Args:
        overrides: The options.
        draft: A suite whose tasks and methods, if valid, are mappings.
        methods: The names of the registered methods.
        tasks: The names of the registered tasks.
    """
    rows = {**_entries(draft, "recipes"), **_entries(draft, "methods")}
    _select(draft, "methods", overrides.methods, entries=rows, registered=methods)
    _select(draft, "tasks", overrides.tasks, entries=_entries(draft, "tasks"), registered=tasks)
    _replace(draft, "models", overrides.models)
    _replace(draft, "seeds", overrides.seeds)
    if overrides.budget is not None:
        _budget(draft, overrides.budget)
    for key, value in overrides.profile.items():
        draft.put(("profile", key), value, where=f"--{key.replace('_', '-')}")
    for key, value in overrides.limits.items():
        draft.put(("limits", key), value, where=f"--{key}-limit")
    if overrides.methods is not None and overrides.teachers:  # --set may change teachers too
        _add_teachers(draft, overrides.methods, rows, registered=methods)
    for text in overrides.sets:
        try:
            _set(draft, text)
        except UserError as error:
            draft.add_error(f"--set {text}", str(error))
    if overrides.methods is not None and overrides.teachers:
        _add_teachers(draft, overrides.methods, rows, registered=methods)


def _select(
    draft: Draft,
    section: str,
    names: tuple[str, ...] | None,
    *,
    entries: Mapping[str, Any],
    registered: Iterable[str],
) -> None:
    """Reduce a section to some names: entries, or registered names without settings."""
    if names is None:
        return
    known = {*entries, *registered}
    chosen: dict[str, Any] = {}
    for name in names:
        if name not in known:
            error = UnknownNameError(section.removesuffix("s"), name, known=known)
            draft.add_error(f"--{section}", str(error))
            continue
        chosen[name] = entries.get(name, {})
        if name not in _entries(draft, section):
            draft.places[section, name] = f"--{section}"
    if chosen:
        draft.data = {**draft.data, section: chosen}


def _add_teachers(
    draft: Draft, requested: Iterable[str], rows: dict[str, Any], *, registered: Iterable[str]
) -> None:
    """Reduce the methods to the requested ones and those that teach them."""
    entries = _entries(draft, "methods")
    known = {**{name: {} for name in registered}, **rows, **entries}
    chosen = {name: entries[name] for name in requested if name in entries}
    waiting = list(chosen)
    while waiting:
        label = waiting.pop()
        entry = chosen[label] or {}
        name = teacher_name(label, entry) if isinstance(entry, dict) else None
        if name in known and name not in chosen:
            chosen[name] = known[name]
            waiting.append(name)
            if name not in rows:
                draft.places.setdefault(("methods", name), "--methods")
    if chosen:
        draft.data = {**draft.data, "methods": chosen}


def _replace(draft: Draft, section: str, values: tuple[object, ...] | None) -> None:
    if values is not None:
        draft.put((section,), list(values), where=f"--{section}")


def _budget(draft: Draft, budget: str) -> None:
    draft.put(("training", "budget"), budget, where="--budget")
    for name, entry in _entries(draft, "tasks").items():
        if isinstance(entry, dict) and "budget" in entry:
            rest = {key: value for key, value in entry.items() if key != "budget"}
            draft.data = _put(draft.data, ("tasks", name), rest)


def _set(draft: Draft, text: str) -> None:
    key, equals, written = text.partition("=")
    key = key.strip()
    if not equals:
        raise UserError("write it as KEY=VALUE, such as lora.r=16 or training.batch_size=64")
    value = yamlfile.parse(written, name="the value").data
    if key in TERMS:
        draft.put((key,), value, where=f"--set {text}")
        return
    labels = _entries(draft, "methods")
    known = [*labels, *RESERVED]
    owner = max((name for name in known if key.startswith(f"{name}.")), key=len, default=None)
    if owner is None:
        owner = key.partition(".")[0]
        if owner in known:
            raise UserError(f"name the key of {owner!r} to set, such as {owner}.KEY=VALUE")
        raise UnknownNameError("method label or section", owner, known=[*known, *TERMS])
    path = key.removeprefix(f"{owner}.").split(".")
    prefix = (owner,) if owner in RESERVED else ("methods", owner)
    draft.put((*prefix, *path), value, where=f"--set {text}")
    tuned = _entries(draft, "tuned")
    if owner in tuned:  # the search trials had other settings
        rest = {label: record for label, record in tuned.items() if label != owner}
        draft.data = {**draft.data, "tuned": rest}


def _entries(draft: Draft, section: str) -> dict[str, Any]:
    entries = draft.data.get(section)
    return entries if isinstance(entries, dict) else {}


def _put(data: object, path: KeyPath, value: object) -> Any:
    """Return a copy of nested mappings with a value at a path."""
    if not path:
        return value
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise UserError(f"{path[0]!r} cannot be set within {data!r}, which has no keys")
    return {**data, path[0]: _put(data.get(path[0]), path[1:], value)}
