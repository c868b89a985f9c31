"""Finding suite files, and reading them so that every mistake has its line."""

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
"""The ending of files with the published figures of a paper; they are not suites."""

_COMMAND_LINE = "the command line"
_ENDINGS = (".yaml", ".yml")
_PLACEHOLDERS: dict[str, Any] = {
    "name": "unnamed",
    "tasks": ["unnamed"],
    "models": ["unnamed"],
    "methods": ["unnamed"],
}
"""Values for missing keys while the other keys are checked."""


def suites_home() -> Path:
    """Return the folder of the suites that come with the package."""
    installed = _PACKAGE / "_suites"
    return installed if installed.is_dir() else _PACKAGE.parent / "suites"


def suites() -> dict[str, Path]:
    """Return the suites that come with the package, by name."""
    home = suites_home()
    files = sorted(file for file in home.rglob("*.yaml") if not file.name.endswith(TABLES))
    return {file.relative_to(home).with_suffix("").as_posix(): file for file in files}


def find_suite(text: str) -> Path:
    """Find the file of a suite that is given as a path or by its name in the package.

    Raises:
        UserError: There is no such suite; the message names the nearest.
    """
    try:
        path = Path(text).expanduser()
        is_file = path.is_file()
    except (OSError, RuntimeError, ValueError) as error:  # a name too long, an unknown home
        raise UserError(f"there is no file {text[:80]!r} ({error})") from None
    if is_file:
        return path
    known = suites()
    if text in known:
        return known[text]
    if path.is_dir():
        inside = ", ".join(sorted(str(file) for file in _files_in(path)))
        hint = f"; it contains {inside}" if inside else suggestion(text, known)
        raise UserError(f"{text}: a folder, not a suite{hint}")
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
    """A suite with the place of each of its parts.

    Attributes:
        path: The file.
        suite: The suite, without the parts that have problems.
        problems: The mistakes in the file itself.
        places: Path of keys -> ``FILE:LINE``, or the option that set it.
    """

    path: Path
    suite: Suite
    problems: tuple[Problem, ...]
    places: Mapping[tuple[str, ...], str]

    def where(self, *path: str | int) -> str:
        """Return the place of a value: ``glue.yaml:12``, or the option that set it."""
        return place_of(path, self.places)


def load_suite(path: Path, overrides: Overrides | None = None) -> SuiteFile:
    """Read a suite without mistakes.

    Args:
        path: The file.
        overrides: The changes from the command line.

    Raises:
        UserError: The suite has mistakes; the message has one line for each.
    """
    suite_file = read_suite(path, overrides)
    raise_errors(suite_file.problems)
    return suite_file


def read_suite(path: Path, overrides: Overrides | None = None) -> SuiteFile:
    """Read a suite that may have mistakes; they are in ``problems``.

    Args:
        path: The file.
        overrides: The changes from the command line.

    Raises:
        UserError: The file is not a suite at all.
    """
    document = yamlfile.read(path)
    if not isinstance(document.data, dict):
        raise UserError(
            f"{path}: not a suite: a suite is a mapping with the keys {', '.join(_PLACEHOLDERS)}"
        )
    places = {keys: f"{path}:{line}" for keys, line in document.lines.items()}
    draft = Draft(data=document.data, places={(): f"{path}:1", **places})
    for line, key in document.repeats:
        draft.add_error(f"{path}:{line}", f"the key {key!r} is repeated")
    return _checked(path, draft, overrides)


def suite_of(overrides: Overrides) -> SuiteFile:
    """Build a suite for cost measurement from the command line alone."""
    return _from_options({"models": [], "methods": {}}, overrides)


def profile_settings(given: Mapping[str, object], sets: Iterable[str] | None) -> ProfileSettings:
    """Build the section ``profile`` from the command line alone.

    Args:
        given: Settings by key.
        sets: More settings, each ``profile.key=value``.

    Raises:
        UserError: A setting is wrong; the message has one line for each mistake.
    """
    suite_file = _from_options(
        {"models": ["any"], "methods": {"any": {}}},
        Overrides(sets=tuple(sets or ()), profile=given),
    )
    raise_errors(suite_file.problems)
    return suite_file.suite.profile or ProfileSettings()


def _from_options(data: dict[str, Any], overrides: Overrides) -> SuiteFile:
    draft = Draft(data={"name": "profile", "profile": {}, **data}, places={(): _COMMAND_LINE})
    return _checked(Path(_COMMAND_LINE), draft, overrides)


def _checked(path: Path, draft: Draft, overrides: Overrides | None) -> SuiteFile:
    for section in ("tasks", "methods", "recipes"):
        _name_entries(draft, section)
    if overrides is not None:
        command_line.apply(overrides, draft, methods=METHODS, tasks=TASKS)
    suite = _check(draft)
    return SuiteFile(path, suite, tuple(draft.problems), draft.places)


def _name_entries(draft: Draft, section: str) -> None:
    """Convert a list of names to a mapping, so that paths lead to entries in both notations."""
    listed = draft.data.get(section)
    if not isinstance(listed, list):
        return
    entries: dict[str, Any] = {}
    for index, name in enumerate(listed):
        where = draft.where((section, index))
        if not isinstance(name, str):
            draft.add_error(
                where, f"{section}: {name!r} is not a name; for settings, use a mapping"
            )
        elif name in entries:
            draft.add_error(where, f"{section}: {name!r} is repeated")
        else:
            entries[name] = {}
    rest = _without(draft.data, [(section,)])
    draft.data = rest if listed and not entries else {**rest, section: entries}


def _check(draft: Draft) -> Suite:
    """Validate a draft; invalid parts become problems and are removed until the rest is valid."""
    optional = {"tasks"} if "profile" in draft.data else set()
    for key in _PLACEHOLDERS:
        if key not in {*draft.data, *optional} and (key,) not in draft.places:
            draft.add_error(draft.where(()), f"the key {key!r} is missing")
    while True:
        data = {**_PLACEHOLDERS, **draft.data}
        try:
            suite = Suite.model_validate(data)
        except ValidationError as error:
            faults = explain(error, Suite, data)
            for path, message in faults:
                draft.add_error(draft.where(path), located(path, message))
            if any(not path for path, _ in faults):
                raise_errors(draft.problems)
            draft.data = _without(draft.data, [path for path, _ in faults])
        else:
            removed = [key for key in ("tasks", "models", "methods") if key not in draft.data]
            return suite.model_copy(update={key: type(getattr(suite, key))() for key in removed})


def _without(data: dict[Any, Any], paths: Iterable[KeyPath]) -> dict[Any, Any]:
    """Return a copy of nested mappings without the values at the paths."""
    copy = dict(data)
    for key, *rest in paths:
        inner = copy.get(key)
        if rest and isinstance(inner, dict):
            copy[key] = inner = _without(inner, [tuple(rest)])
        if not rest or not isinstance(inner, dict) or not inner:
            copy.pop(key, None)
    return copy
