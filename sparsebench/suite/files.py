"""Suites as files: finding them, and reading them so that every mistake has its line."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from sparsebench.errors import UnknownNameError, UserError, suggestion
from sparsebench.errors.problems import Problem, explain, located, place_of, raise_errors
from sparsebench.method_registry import METHODS
from sparsebench.schema.measuring import ProfileSettings
from sparsebench.suite import Suite, yamlfile
from sparsebench.suite import overrides as command_line
from sparsebench.suite.overrides import Draft, Overrides
from sparsebench.tasks import TASKS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from sparsebench.errors.problems import KeyPath

_PACKAGE = Path(__file__).parents[1]
TABLES = ".tables.yaml"
"""What the names of files end in that hold the published figures of a paper, and no suite."""

_COMMAND_LINE = "the command line"
_ENDINGS = (".yaml", ".yml")
_STAND_INS: dict[str, Any] = {
    "name": "unnamed",
    "tasks": ["unnamed"],
    "models": ["unnamed"],
    "methods": ["unnamed"],
}
"""What takes the place of an absent key while the others are checked."""


def suites_home() -> Path:
    """Returns the folder of the suites that come with the package."""
    installed = _PACKAGE / "_suites"
    return installed if installed.is_dir() else _PACKAGE.parent / "suites"


def suites() -> dict[str, Path]:
    """Returns the suites that come with the package, by name."""
    home = suites_home()
    files = sorted(file for file in home.rglob("*.yaml") if not file.name.endswith(TABLES))
    return {file.relative_to(home).with_suffix("").as_posix(): file for file in files}


def find_suite(text: str) -> Path:
    """Returns the file that a user means: a path, or the name of a suite of the package.

    Raises:
        UserError: There is no such suite; the message says the nearest.
    """
    try:
        path = Path(text).expanduser()
        is_file = path.is_file()
    except (OSError, RuntimeError) as error:  # too long a name, or nobody's home
        raise UserError(f"there is no file {text[:80]!r} ({error})") from None
    if is_file:
        return path
    known = suites()
    if text in known:
        return known[text]
    if path.is_dir():
        inside = ", ".join(sorted(str(file) for file in _files_in(path)))
        told = f"; there are {inside}" if inside else suggestion(text, known)
        raise UserError(f"{text}: a folder, not a suite{told}")
    of_package = {str(Path(name).parent) for name in known}
    if path.suffix in _ENDINGS or str(path.parent) not in of_package:
        beside = [str(path.with_name(file.name)) for file in _files_in(path.parent)]
        raise UserError(f"there is no file {text!r}{suggestion(text, [*beside, *known])}")
    raise UnknownNameError("suite", text, known=known)


def _files_in(folder: Path) -> list[Path]:
    found = folder.iterdir() if folder.is_dir() else ()
    return [f for f in found if f.suffix in _ENDINGS and not f.name.endswith(TABLES)]


@dataclass(frozen=True)
class SuiteFile:
    """A suite with where each of its parts was written.

    Attributes:
        path: The file.
        suite: The suite; if there are problems, what is left without the parts that have them.
        problems: What is wrong with the file itself.
        places: Path of keys -> where it was written.
    """

    path: Path
    suite: Suite
    problems: tuple[Problem, ...]
    places: Mapping[tuple[str, ...], str]

    def where(self, *path: str | int) -> str:
        """Returns where a value was written: ``glue.yaml:12``, or the option that set it."""
        return place_of(path, self.places)


def load_suite(path: Path, overrides: Overrides | None = None) -> SuiteFile:
    """Reads a suite.

    Args:
        path: The file.
        overrides: What the command line changes of it.

    Raises:
        UserError: Anything is wrong with it; the message has one line for every mistake.
    """
    suite_file = read_suite(path, overrides)
    raise_errors(suite_file.problems)
    return suite_file


def read_suite(path: Path, overrides: Overrides | None = None) -> SuiteFile:
    """Reads a suite that may have mistakes; they are in ``problems``.

    Args:
        path: The file.
        overrides: What the command line changes of it.

    Raises:
        UserError: Nothing of it can be read.
    """
    document = yamlfile.read(path)
    if not isinstance(document.data, dict):
        raise UserError(f"{path}: not a suite, which is a mapping with {', '.join(_STAND_INS)}")
    places = {keys: f"{path}:{line}" for keys, line in document.lines.items()}
    draft = Draft(data=document.data, places={(): f"{path}:1", **places})
    for line, key in document.repeats:
        draft.blame(f"{path}:{line}", f"the key {key!r} is there twice")
    return _checked(path, draft, overrides)


def suite_of(overrides: Overrides) -> SuiteFile:
    """Makes a suite for costs of what the command line says alone."""
    return _said({"models": [], "methods": {}}, overrides)


def profile_settings(given: Mapping[str, object], sets: Iterable[str] | None) -> ProfileSettings:
    """Returns the section ``profile`` as the command line alone says it.

    Args:
        given: Settings by key.
        sets: More of them, each ``profile.key=value``.

    Raises:
        UserError: Anything is wrong; the message has one line for every mistake.
    """
    suite_file = _said(
        {"models": ["any"], "methods": {"any": {}}},
        Overrides(sets=tuple(sets or ()), profile=given),
    )
    raise_errors(suite_file.problems)
    return suite_file.suite.profile or ProfileSettings()


def _said(data: dict[str, Any], overrides: Overrides) -> SuiteFile:
    draft = Draft(data={"name": "profile", "profile": {}, **data}, places={(): _COMMAND_LINE})
    return _checked(Path(_COMMAND_LINE), draft, overrides)


def _checked(path: Path, draft: Draft, overrides: Overrides | None) -> SuiteFile:
    for section in ("tasks", "methods"):
        _name_entries(draft, section)
    if overrides is not None:
        command_line.apply(overrides, draft, methods=METHODS, tasks=TASKS)
    suite = _check(draft)
    return SuiteFile(path, suite, tuple(draft.problems), draft.places)


def _name_entries(draft: Draft, section: str) -> None:
    """Turns a list of names into a mapping, so that a path leads to an entry in either case."""
    listed = draft.data.get(section)
    if not isinstance(listed, list):
        return
    entries: dict[str, Any] = {}
    for index, name in enumerate(listed):
        where = draft.where((section, index))
        if not isinstance(name, str):
            draft.blame(where, f"{section}: {name!r} is no name; for settings, write a mapping")
        elif name in entries:
            draft.blame(where, f"{section}: {name!r} is there twice")
        else:
            entries[name] = {}
    rest = _without(draft.data, [(section,)])
    draft.data = rest if listed and not entries else {**rest, section: entries}


def _check(draft: Draft) -> Suite:
    """Returns the suite; bad parts become problems and are left out, until the rest is sound."""
    optional = {"tasks"} if "profile" in draft.data else set()
    for key in _STAND_INS:
        if key not in {*draft.data, *optional} and (key,) not in draft.places:
            draft.blame(draft.where(()), f"the key {key!r} is missing")
    while True:
        data = {**_STAND_INS, **draft.data}
        try:
            suite = Suite.model_validate(data)
        except ValidationError as error:
            faults = explain(error, Suite, data)
            for path, message in faults:
                draft.blame(draft.where(path), located(path, message))
            if any(not path for path, _ in faults):
                raise_errors(draft.problems)
            draft.data = _without(draft.data, [path for path, _ in faults])
        else:
            gone = [key for key in ("tasks", "models", "methods") if key not in draft.data]
            return suite.model_copy(update={key: type(getattr(suite, key))() for key in gone})


def _without(data: dict[Any, Any], paths: Iterable[KeyPath]) -> dict[Any, Any]:
    """Returns a copy of nested mappings that lacks what is at the paths."""
    copy = dict(data)
    for key, *rest in paths:
        inner = copy.get(key)
        if rest and isinstance(inner, dict):
            copy[key] = inner = _without(inner, [tuple(rest)])
        if not rest or not isinstance(inner, dict) or not inner:
            copy.pop(key, None)
    return copy
