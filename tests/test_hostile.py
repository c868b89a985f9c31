"""Hostile and absurd input ends in a clear error: no traceback, no file elsewhere, no hang."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from factories import make_result, make_spec
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from sparsebench.errors import UserError
from sparsebench.execution.executors.remote import keep
from sparsebench.execution.job import Job
from sparsebench.leaderboard import FORMATS
from sparsebench.leaderboard.build import build
from sparsebench.models.bundle import read_bundle
from sparsebench.results.store import Store, folder_name
from sparsebench.results.stored_run import CorruptResultError, read_result
from sparsebench.schema.limits import Limits
from sparsebench.schema.measuring import CostSettings
from sparsebench.suite.files import find_suite, read_suite, suites_home
from sparsebench.suite.validation import problems
from sparsebench.tasks import DataSource

if TYPE_CHECKING:
    from pathlib import Path

hostile = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)

ABSURD = st.sampled_from(
    [
        *(-1, 0, 2**31, 2**63, 10**400, -(10**30), 1e308, -0.0, 5e-324, True, None),
        *("", " ", ".", "..", "../../etc/passwd", "/etc/passwd", "~nobody/x", "~", "\0", "a\0b"),
        *("x" * 5000, "a/b/c/d", "con", "-rf", "--help", "$(touch x)", "`touch x`", "; touch x"),
        *("!!python/object/apply:os.system [touch x]", "{{7*7}}", "%s%n", "\u202e", "\ud7ff", "🙂"),
        *("1e309 steps", "999999999999999999999 epochs", "0 steps", "quick/../bert", "random:"),
        *("https://example.com/x", "file:///etc/passwd", "hf://a/b@c", "a@" * 40, [], {}, [[[]]]),
    ]
)
VALUES = st.recursive(
    ABSURD | st.text(max_size=20) | st.integers() | st.floats(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=9), inner),
    max_leaves=6,
)


def places(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Returns the path of every value in nested data."""
    found = [path] if path else []
    pairs: list[tuple[Any, Any]] = []
    if isinstance(data, dict):
        pairs = list(data.items())
    elif isinstance(data, list):
        pairs = list(enumerate(data))
    for key, value in pairs:
        found += places(value, (*path, key))
    return found


def changed(data: Any, path: tuple[Any, ...], value: object) -> Any:
    """Returns a copy of nested data with another value at a path."""
    if not path:
        return value
    copy = dict(data) if isinstance(data, dict) else list(data)
    copy[path[0]] = changed(copy[path[0]], path[1:], value)
    return copy


SUITE = yaml.safe_load((suites_home() / "quick.yaml").read_text())
SUITE |= {"limits": {"time": "1 h", "memory": "1 GiB"}, "held_out": {"share": 0.1}}
RESULT = json.loads(make_result(0.5).model_dump_json())


@pytest.fixture(autouse=True)
def _alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs in an empty folder, in which nothing may appear that a test did not put there."""
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")


def judge(file: Path) -> str | None:
    """Validates a suite as the command line does; returns what is wrong with it."""
    try:
        suite_file = read_suite(file)
        found = problems(suite_file)
    except UserError as error:
        return str(error)
    return "\n".join(map(str, found)) or None


@hostile
@given(place=st.sampled_from(places(SUITE)), value=VALUES)
def test_any_value_anywhere_in_a_suite(tmp_path: Path, place: Any, value: object) -> None:
    file = tmp_path / "suite.yaml"
    with suppress(UnicodeEncodeError, yaml.YAMLError):
        file.write_text(yaml.safe_dump(changed(SUITE, place, value), allow_unicode=True))
        message = judge(file)
        assert message is None or message.strip()
    assert os.listdir() == []  # noqa: PTH208 - the working directory


@hostile
@given(
    text=st.text(alphabet="{}[]:,&*!|>-'\"\\#%@` \n\tax01~?", max_size=80)
    | st.binary(max_size=60).map(lambda raw: raw.decode("latin-1"))
)
def test_any_text_as_a_suite(tmp_path: Path, text: str) -> None:
    file = tmp_path / "suite.yaml"
    file.write_text(text, encoding="utf-8")
    assert judge(file)


BOMBS = {
    "laughs": "a0: &a0 [x,x]\n"
    + "".join(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 12)),
    "itself": "a: &a [*a]",
    "deep": "[" * 100_000,
    "deep keys": "".join(" " * i + "a:\n" for i in range(3000)),
    "merges": "a: &a {x: 1}\n" + "b: {" + ", ".join(["<<: *a"] * 3000) + "}",
    "digits": "name: " + "9" * 100_000,
    "large": "a: " + "x" * 2_000_000,
    "object": "!!python/object/apply:os.system ['touch x']",
    "name": "name: !!python/name:os.system",
    "binary": "name: !!binary aGVsbG8=",
    "documents": "--- a\n--- b\n",
    "keys": "? [a, b]\n: c\n",
    "map key": "? {a: b}\n: c\n",
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_yaml_bombs(tmp_path: Path, bomb: str) -> None:
    file = tmp_path / "suite.yaml"
    file.write_text(BOMBS[bomb])
    assert judge(file)
    assert os.listdir() == []  # noqa: PTH208 - the working directory


@hostile
@given(text=st.text(max_size=30) | ABSURD.filter(lambda value: isinstance(value, str)))
def test_any_name_of_a_suite(text: str) -> None:
    with suppress(UserError):
        file = find_suite(text)
        assert file.is_file()
        read_suite(file)


@hostile
@given(place=st.sampled_from(places(RESULT)), value=VALUES)
@example(place=("scores", "validation"), value={})
def test_any_value_anywhere_in_a_result(tmp_path: Path, place: Any, value: object) -> None:
    file = tmp_path / "result.json"
    file.write_text(json.dumps(changed(RESULT, place, value)), encoding="utf-8")
    try:
        result = read_result(file)
    except CorruptResultError:
        return
    board = build([result], read=lambda _: None)
    for write in FORMATS.values():
        assert write(board)


@hostile
@given(
    raw=st.binary(max_size=80) | st.text(max_size=60).map(lambda text: json.dumps(text).encode())
)
def test_any_bytes_as_a_result_or_a_bundle(tmp_path: Path, raw: bytes) -> None:
    for name in ("result.json", "bundle.json"):
        (tmp_path / name).write_bytes(raw)
    with pytest.raises(CorruptResultError):
        read_result(tmp_path / "result.json")
    read_bundle.cache_clear()
    with pytest.raises(UserError):
        read_bundle(tmp_path)


TEXTS = st.text(max_size=60) | ABSURD.filter(lambda value: isinstance(value, str))


@hostile
@given(task=TEXTS, model=TEXTS, method=TEXTS)
def test_no_name_leaves_the_results_folder(
    tmp_path: Path, task: str, model: str, method: str
) -> None:
    spec = make_spec(task=task, model=model, method=method)
    name = folder_name(spec)
    assert "/" not in name
    assert "\0" not in name
    assert name not in ("", ".", "..")
    assert not name.startswith((".", "-"))
    assert len(name.encode()) < 256
    assert Store(tmp_path).folder(spec).resolve().parent == tmp_path.resolve()


@hostile
@given(
    name=st.lists(st.sampled_from(["..", ".", "a", "", "/", "result.json"]), min_size=1).map(
        "/".join
    )
)
def test_no_file_that_is_sent_leaves_the_folder_of_its_run(tmp_path: Path, name: str) -> None:
    root = tmp_path / "runs"
    job = Job(make_spec(), "s", "m", DataSource(), CostSettings(), root)
    with pytest.raises(UserError):
        keep(job, {name: b"evil"})
    work = Store(root).work_folder(job.spec)
    outside = [f for f in tmp_path.rglob("*") if f.is_file() and not f.is_relative_to(work)]
    assert outside == []


@hostile
@given(value=VALUES, key=st.sampled_from(["time", "memory"]))
def test_any_value_as_a_limit(value: object, key: str) -> None:
    try:
        limit = getattr(Limits.model_validate({key: value}), key)
    except ValueError:
        return
    assert limit is None or 0 < limit < float("inf")
