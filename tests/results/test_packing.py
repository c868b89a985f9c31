"""Packing loses nothing, packed runs are read like folders, and hostile files are refused."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pytest
from factories import make_result, make_spec
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from sparsebench.errors import UserError
from sparsebench.results import packing
from sparsebench.results.packed import (
    PACKED,
    CorruptPackError,
    PackedResults,
    open_packed,
    write_packed,
)
from sparsebench.results.packing import pack, unpack
from sparsebench.results.predictions import (
    CorruptPredictionsError,
    cut_predictions,
    join_predictions,
    parse_predictions,
)
from sparsebench.results.records import Status
from sparsebench.results.store import Store, folder_name
from sparsebench.results.stored_run import CorruptResultError

if TYPE_CHECKING:
    from collections.abc import Callable

ROWS = [{"split": "validation", "id": str(n), "prediction": n, "reference": 1} for n in range(3)]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.just("reference"), inner),
    max_leaves=6,
)
TABLES = st.lists(
    st.fixed_dictionaries(
        {
            "split": st.sampled_from(["validation", "test", ', "prediction": ']),
            "id": st.text(),
            "prediction": JSON,
            "reference": JSON,
        }
    ),
    max_size=5,
)


def contents(root: Path) -> dict[str, bytes]:
    """The content of every file below a folder, by its place."""
    files = (file for file in root.rglob("*") if file.is_file())
    return {file.relative_to(root).as_posix(): file.read_bytes() for file in files}


@pytest.fixture
def store(tmp_path: Path) -> Store:
    """Three runs on one task, the last one failed."""
    store = Store(tmp_path / "results")
    for method, shift in (("full", 0), ("lora", 1)):
        rows = [{**row, "prediction": row["prediction"] + shift} for row in ROWS]
        store.write(make_result(0.5, method=method), predictions=rows)
    store.write(make_result(method="pst", status=Status.OOM, reason="too large"))
    return store


@settings(max_examples=60, deadline=None)
@given(tables=st.lists(TABLES | st.binary(), min_size=1, max_size=4), junk=st.binary())
def test_packing_and_unpacking_loses_nothing(tables: list[Any], junk: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder))
        for seed, table in enumerate(tables):
            run = store.write(
                make_result(0.5, seed=seed), predictions=table if isinstance(table, list) else ()
            )
            if isinstance(table, bytes):
                (run / "predictions.jsonl").write_bytes(table)
                (run / "SHA256SUMS").write_bytes(junk)
        before = contents(store.root)

        packed = pack(store.root)
        assert list(contents(store.root)) == [PACKED]
        assert len(packed.runs) == len(tables)
        unpack(store.root)

        assert contents(store.root) == before


@given(table=TABLES)
def test_predictions_taken_apart_are_the_same(table: list[dict[str, Any]]) -> None:
    content = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in table)
    data = content.encode(errors="backslashreplace")

    predictions, examples = cut_predictions(data)

    assert examples is not None
    assert join_predictions(examples, predictions) == data


def test_packed_runs_are_read_like_folders(store: Store) -> None:
    before = list(store)
    answered = [store.predictions(result) for result in before]
    digests = [run.digest("result.json") for run in store.runs()]

    pack(store.root)

    assert list(Store(store.root)) == before
    assert [store.predictions(result) for result in before] == answered
    assert [run.digest("result.json") for run in store.runs()] == digests
    assert store.find(before[0].spec) == before[0]
    assert store.stamp(before[0].spec) is not None
    assert answered[0] is not None
    assert answered[0]["validation"].predictions == (0, 1, 2)


def test_the_examples_of_one_task_are_stored_once(store: Store) -> None:
    pack(store.root)

    table = parquet.read_table(store.root / PACKED)
    assert len(set(table["examples"].to_pylist()) - {None}) == 1
    assert table["predictions"].to_pylist()[:2] == [b"0\n1\n2", b"1\n2\n3"]


def test_a_folder_is_the_later_one(store: Store) -> None:
    pack(store.root)
    store.write(make_result(0.9, method="full"), predictions=ROWS)

    assert [result.score for result in store] == [0.9, 0.5, None]
    assert unpack(store.root).kept == {
        folder_name(make_spec(method="full")): "it has a folder, which is the later one"
    }
    assert [result.score for result in store] == [0.9, 0.5, None]


def test_packing_again_takes_new_folders_along(store: Store) -> None:
    pack(store.root)
    store.write(make_result(0.9, method="full"), predictions=ROWS)
    store.write(make_result(0.1, method="head"), predictions=ROWS)

    assert len(pack(store.root).runs) == 4

    assert [result.score for result in store] == [0.9, 0.1, 0.5, None]
    assert sorted(path.name for path in store.root.iterdir()) == [PACKED]


def test_a_run_that_is_more_than_a_result_stays_a_folder(store: Store, tmp_path: Path) -> None:
    model = tmp_path / "model"
    model.mkdir()
    (model / "weights").write_text("w")
    with_model = store.write(make_result(0.2, method="head"), keep={"deployed": model})
    torn = store.folder(make_spec(method="pst"))
    (torn / "result.json").write_text("{")
    before = contents(with_model)

    packed = pack(store.root)

    assert packed.kept[with_model.name].startswith("deployed is beside its result")
    assert "not a readable result" in packed.kept[torn.name]
    assert contents(with_model) == before
    assert torn.is_dir()
    assert len(packed.runs) == 2


def test_nothing_to_pack_or_unpack_is_a_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no runs to pack"):
        pack(tmp_path)
    with pytest.raises(UserError, match=r"no runs\.parquet"):
        unpack(tmp_path)


@pytest.mark.parametrize("point", ["write_packed", "os.replace", "_remove"])
def test_a_pack_that_is_cut_short_loses_nothing(
    store: Store, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    before = {result.key: result for result in store}

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(packing.os if "." in point else packing, point.removeprefix("os."), full)
    with pytest.raises(UserError, match="No space left on device"):
        pack(store.root)
    monkeypatch.undo()

    assert {result.key: result for result in Store(store.root)} == before
    assert len(pack(store.root).runs) == 3
    assert {result.key: result for result in Store(store.root)} == before


def test_a_result_that_is_written_meanwhile_is_not_lost(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = packing.write_packed

    def slow(file: Path, runs: Any) -> None:
        original(file, runs)
        store.write(make_result(0.9, method="full"), predictions=ROWS)

    monkeypatch.setattr(packing, "write_packed", slow)
    with pytest.raises(UserError, match="was changed while it was packed"):
        pack(store.root)
    assert [result.score for result in store] == [0.9, 0.5, None]


def table_of(store: Store) -> pa.Table:
    pack(store.root)
    return parquet.read_table(store.root / PACKED)


def renamed(name: str) -> Callable[[pa.Table], pa.Table]:
    def change(table: pa.Table) -> pa.Table:
        names = [name, *table["folder"].to_pylist()[1:]]
        return table.set_column(0, "folder", pa.array(names))

    return change


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (renamed("../../etc"), "'../../etc' is not the name of a run's folder"),
        (renamed(".work"), "'.work' is not the name"),
        (renamed("a/b"), "is not the name"),
        (renamed("a" * 300), "is not the name"),
        (renamed("a\x1b[2J"), "is not the name"),
        (lambda table: pa.concat_tables([table, table]), "is there twice"),
        (lambda table: table.drop_columns(["examples"]), "its columns are not"),
        (lambda table: table.append_column("code", pa.array([b"x"] * 3)), "its columns are not"),
        (lambda table: table.set_column(1, "result", pa.array([1, 2, 3])), "its columns are not"),
        (lambda table: table.set_column(1, "result", pa.nulls(3, pa.binary())), "no result"),
        (lambda table: table.replace_schema_metadata({}), "no version"),
        (lambda table: table.replace_schema_metadata({"sparsebench.packed": "9"}), "version '9'"),
    ],
)
def test_a_hostile_packed_file_is_refused(
    store: Store, change: Callable[[pa.Table], pa.Table], said: str
) -> None:
    parquet.write_table(change(table_of(store)), store.root / PACKED)

    with pytest.raises(CorruptPackError) as raised:
        store.runs()
    assert str(raised.value).startswith(f"{store.root / PACKED}: not a packed set of results (")
    assert said in str(raised.value)


def test_a_packed_file_cut_or_changed_anywhere_is_refused_or_unharmed(store: Store) -> None:
    pack(store.root)
    file = store.root / PACKED
    whole, results = file.read_bytes(), list(store)
    broken = [whole[:size] for size in range(0, len(whole), 97)]
    broken += [
        whole[:at] + bytes([whole[at] ^ 0x55]) + whole[at + 1 :] for at in range(0, len(whole), 61)
    ]
    for content in broken:
        file.write_bytes(content)
        try:
            packed = PackedResults(file)
            assert [run.result() for run in packed.values()] == results
            for run in packed.values():
                run.read("predictions.jsonl")
        except (CorruptPackError, CorruptResultError, CorruptPredictionsError):
            pass


def test_a_file_that_claims_to_be_huge_is_refused(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    pack(store.root)
    monkeypatch.setattr("sparsebench.results.packed._LARGEST_GROUP", 100)

    with pytest.raises(CorruptPackError, match="larger than any packed set"):
        PackedResults(store.root / PACKED)


def test_a_pipe_in_its_place_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / PACKED)

    with pytest.raises(CorruptPackError, match="not a regular file"):
        open_packed(tmp_path)


@pytest.mark.parametrize(
    "predictions", [b"0\n1", b"0\n1\n2\n3", b"0\n1\n{", b"[0\n1]\n2", b"0, 1\n2", None]
)
def test_columns_that_do_not_fit_each_other_are_corrupt(
    store: Store, predictions: bytes | None
) -> None:
    table = table_of(store)
    column = pa.array([predictions, *table["predictions"].to_pylist()[1:]], pa.binary())
    changed = table.set_column(3, "predictions", column)
    parquet.write_table(changed, store.root / PACKED)
    result = store.find(make_spec(method="full"))
    assert result is not None

    with pytest.raises(CorruptPredictionsError, match=r"full.*predictions\.jsonl: no readable"):
        store.predictions(result)


def test_many_runs_are_stored_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path)
    for seed in range(7):
        store.write(make_result(seed=seed), predictions=ROWS)
    before = contents(tmp_path)
    monkeypatch.setattr("sparsebench.results.packed._GROUP", 2 * len(before.popitem()[1]))

    pack(tmp_path)
    assert parquet.ParquetFile(tmp_path / PACKED).num_row_groups > 1
    for result in Store(tmp_path):
        found = store.predictions(result)
        assert found is not None
        assert found == parse_predictions("".join(json.dumps(r) + "\n" for r in ROWS).encode())


def test_the_packed_file_is_the_same_for_the_same_runs(store: Store, tmp_path: Path) -> None:
    runs = store.runs()
    for name in ("one", "two"):
        write_packed(tmp_path / name, runs)

    one, two = ((tmp_path / name).read_bytes() for name in ("one", "two"))
    assert hashlib.sha256(one).digest() == hashlib.sha256(two).digest()


def test_reading_packed_results_imports_no_torch(store: Store) -> None:
    pack(store.root)
    code = (
        "import sys; from pathlib import Path; from sparsebench.results.store import Store\n"
        "assert 'pyarrow' not in sys.modules\n"
        "assert len(list(Store(Path(sys.argv[1])))) == 3\n"
        "assert not {'torch', 'transformers'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code, str(store.root)], check=True)
