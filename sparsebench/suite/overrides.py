"""What the command line changes of a suite, written into it before it is checked."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from sparsebench.errors import UnknownNameError, UserError
from sparsebench.errors.problems import KeyPath, Problem, Severity, place_of
from sparsebench.suite import RESERVED, yamlfile

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

TERMS = ("protocol", "revision")
"""Single values of a suite that ``--set`` reaches by name."""


@dataclass(frozen=True)
class Overrides:
    """What the command line says; None or nothing leaves the suite as it is.

    Attributes:
        methods: Labels of the suite, which keep their settings, or registered methods, which get
            their defaults.
        models: Backbones, in place of those of the suite.
        tasks: Tasks of the suite, which keep their entries, or other registered ones.
        seeds: Seeds, in place of those of the suite.
        budget: A budget such as ``"230 steps"``, in place of the suite's and of every task's own.
        sets: Settings, each ``label.key=value``, ``training.key=value`` or alike, the value as
            in YAML.
        profile: Settings of the section ``profile``, by key.
        limits: Settings of the section ``limits``, by key.
    """

    methods: tuple[str, ...] | None = None
    models: tuple[str, ...] | None = None
    tasks: tuple[str, ...] | None = None
    seeds: tuple[int, ...] | None = None
    budget: str | None = None
    sets: tuple[str, ...] = ()
    profile: Mapping[str, object] = field(default_factory=dict)
    limits: Mapping[str, object] = field(default_factory=dict)


@dataclass
class Draft:
    """The content of a suite before it is checked.

    Attributes:
        data: The content; parts of it may be shared, so nothing in it is changed in place.
        places: Path of keys -> where it was written.
        problems: What was found to be wrong so far.
    """

    data: dict[str, Any]
    places: dict[tuple[str, ...], str]
    problems: list[Problem] = field(default_factory=list)

    def blame(self, where: str, message: str) -> None:
        """Notes an error."""
        self.problems.append(Problem(Severity.ERROR, where, message))

    def put(self, path: KeyPath, value: object, *, where: str) -> None:
        """Writes a value in place of whatever was there.

        Raises:
            UserError: A part of the path holds a value that has no keys.
        """
        self.data = _put(self.data, path, value)
        keys = tuple(map(str, path))
        self.places = {k: v for k, v in self.places.items() if k[: len(keys)] != keys}
        self.places[keys] = where

    def where(self, path: KeyPath) -> str:
        """Returns where a value was written, or else what holds it."""
        return place_of(path, self.places)


def apply(
    overrides: Overrides, draft: Draft, *, methods: Iterable[str], tasks: Iterable[str]
) -> None:
    """Writes what the command line says into a draft; its mistakes become problems of the draft.

    Args:
        overrides: What the command line says.
        draft: A suite whose tasks and methods, if they are sound, are mappings.
        methods: The names of the registered methods.
        tasks: The names of the registered tasks.
    """
    _select(draft, "methods", overrides.methods, registered=methods)
    _select(draft, "tasks", overrides.tasks, registered=tasks)
    _replace(draft, "models", overrides.models)
    _replace(draft, "seeds", overrides.seeds)
    if overrides.budget is not None:
        _budget(draft, overrides.budget)
    for key, value in overrides.profile.items():
        draft.put(("profile", key), value, where=f"--{key.replace('_', '-')}")
    for key, value in overrides.limits.items():
        draft.put(("limits", key), value, where=f"--{key}-limit")
    for text in overrides.sets:
        try:
            _set(draft, text)
        except UserError as error:
            draft.blame(f"--set {text}", str(error))


def _select(
    draft: Draft, section: str, names: tuple[str, ...] | None, *, registered: Iterable[str]
) -> None:
    if names is None:
        return
    entries = _entries(draft, section)
    known = {*entries, *registered}
    chosen: dict[str, Any] = {}
    for name in names:
        if name not in known:
            error = UnknownNameError(section.removesuffix("s"), name, known=known)
            draft.blame(f"--{section}", str(error))
            continue
        chosen[name] = entries.get(name, {})
        if name not in entries:
            draft.places[section, name] = f"--{section}"
    if chosen:
        draft.data = {**draft.data, section: chosen}


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
            raise UserError(f"say what of {owner!r} to set, such as {owner}.KEY=VALUE")
        raise UnknownNameError("method label or section", owner, known=[*known, *TERMS])
    path = key.removeprefix(f"{owner}.").split(".")
    prefix = (owner,) if owner in RESERVED else ("methods", owner)
    draft.put((*prefix, *path), value, where=f"--set {text}")
    tuned = _entries(draft, "tuned")
    if owner in tuned:  # no trial was made with what is set now
        rest = {label: record for label, record in tuned.items() if label != owner}
        draft.data = {**draft.data, "tuned": rest}


def _entries(draft: Draft, section: str) -> dict[str, Any]:
    entries = draft.data.get(section)
    return entries if isinstance(entries, dict) else {}


def _put(data: object, path: KeyPath, value: object) -> Any:
    """Returns a copy of nested mappings with a value at a path."""
    if not path:
        return value
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise UserError(f"{path[0]!r} cannot be set within {data!r}, which has no keys")
    return {**data, path[0]: _put(data.get(path[0]), path[1:], value)}
