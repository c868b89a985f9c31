"""The store reads back what was written, and says clearly what it cannot read."""

from __future__ import annotations

import hashlib
import json
import os
from typing import TYPE_CHECKING

import pytest
from factories import make_costs, make_result, make_spec
from hypothesis import given
from hypothesis import strategies as st

from sparsebench.errors import UserError
from sparsebench.results import stored_run
from sparsebench.results.predictions import CorruptPredictionsError
from sparsebench.results.records import LossPoint, Status, TrainingRecord
from sparsebench.results.store import Store, folder_name
from sparsebench.results.stored_run import CorruptResultError, read_result

if TYPE_CHECKING:
    from pathlib import Path

ROWS = [{"split": "validation", "id": str(n), "prediction": n, "reference": 1} for n in range(3)]


def test_what_was_written_is_read_back(tmp_path: Path) -> None:
    record = TrainingRecord(
        steps=2,
        seconds=1.5,
        examples_per_second=10.0,
        loss=(LossPoint(step=1, loss=float("inf"), learning_rate=1e-4),),
    )
    result = make_result(0.1 + 0.2, costs=make_costs(ratio=1 / 3))
    result = result.model_copy(update={"training": record})
    folder = Store(tmp_path).write(result, predictions=ROWS)

    found = Store(tmp_path).find(result.spec)

    rows = (folder / "predictions.jsonl").read_bytes()
    files = {"predictions.jsonl": hashlib.sha256(rows).hexdigest()}
    assert found == result.model_copy(update={"files": files})
    assert [json.loads(row) for row in rows.splitlines()] == ROWS


def test_text_that_is_no_valid_unicode_is_kept(tmp_path: Path) -> None:
    half = "a\ud83d é"  # of a surrogate pair, as a broken file or a model may give it
    result = make_result(0.5)
    assert result.provenance is not None
    told = result.provenance.model_copy(update={"data_origin": half})
    rows = [{"split": "test", "id": "1", "prediction": half, "reference": [half]}]
    store = Store(tmp_path)
    store.write(result.model_copy(update={"provenance": told}), predictions=rows)

    found = store.find(result.spec)

    assert found is not None
    assert found.provenance is not None
    assert found.provenance.data_origin == "a\\ud83d é"
    answers = store.predictions(found)
    assert answers is not None
    assert answers["test"].predictions == (half,)


def test_a_result_replaces_the_older_one_of_the_same_run(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write(make_result(0.1), predictions=ROWS)

    store.write(make_result(status=Status.OOM, reason="too large"))

    assert [result.status for result in store] == [Status.OOM]
    names = sorted(file.name for file in store.runs()[0].folder.iterdir())
    assert names == ["SHA256SUMS", "result.json"]


def test_results_come_in_the_order_of_their_folders(tmp_path: Path) -> None:
    store = Store(tmp_path)
    for task in ("rte", "cola", "mrpc"):
        store.write(make_result(task=task))

    assert [result.spec.task for result in store] == ["cola", "mrpc", "rte"]


def test_unfinished_work_is_no_result(tmp_path: Path) -> None:
    store = Store(tmp_path)
    work = store.work_folder(make_spec())
    work.mkdir(parents=True)
    (work / "result.json").write_text("{}")

    assert store.find(make_spec()) is None
    assert list(Store(tmp_path)) == []


def test_writing_a_result_ends_its_work(tmp_path: Path) -> None:
    store = Store(tmp_path)
    work = store.work_folder(make_spec())
    (work / "deployed").mkdir(parents=True)
    (work / "deployed" / "weights").write_text("w")

    folder = store.write(make_result(), keep={"deployed": work / "deployed"})

    assert (folder / "deployed" / "weights").read_text() == "w"
    assert not work.exists()
    result = store.find(make_spec())
    assert result is not None
    assert result.files == {"deployed/weights": hashlib.sha256(b"w").hexdigest()}


def test_nothing_is_made_by_reading(tmp_path: Path) -> None:
    root = tmp_path / "results"

    assert list(Store(root)) == []
    assert Store(root).find(make_spec()) is None
    assert not root.exists()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "not a readable result"),
        (b'{"schema_version": 1, "key"', "not a readable result"),
        (b"\xff\xfe", "not a readable result"),
        (b"[" * 100_000, "not a readable result"),
        (b"[]", "schema version None"),
        (b'{"schema_version": 99}', "schema version 99"),
        (b'{"schema_version": 1, "key": "0123456789abcdef"}', "suite"),
    ],
)
def test_a_corrupt_result_is_named(tmp_path: Path, content: bytes, said: str) -> None:
    store = Store(tmp_path)
    file = store.write(make_result()) / "result.json"
    file.write_bytes(content)

    for read in (lambda: store.find(make_spec()), lambda: list(store), lambda: read_result(file)):
        with pytest.raises(CorruptResultError) as raised:
            read()
        assert str(raised.value).startswith(f"{file}: ")
        assert said in str(raised.value)


def test_an_unknown_key_in_a_result_is_corruption(tmp_path: Path) -> None:
    file = Store(tmp_path).write(make_result()) / "result.json"
    content = json.loads(file.read_text())
    file.write_text(json.dumps({**content, "scores_adjusted": True}))

    with pytest.raises(CorruptResultError, match="scores_adjusted"):
        read_result(file)


def test_a_result_in_the_folder_of_another_run_is_not_taken_for_it(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.write(make_result(method="full")).rename(store.folder(make_spec(method="lora")))

    with pytest.raises(CorruptResultError, match=r"another run.*full"):
        store.find(make_spec(method="lora"))


def test_a_file_in_place_of_the_results_folder_is_a_users_mistake(tmp_path: Path) -> None:
    (tmp_path / "results").write_text("notes")
    store = Store(tmp_path / "results")

    assert list(store) == []
    with pytest.raises(UserError, match=r"results: cannot write a result"):
        store.write(make_result())


def test_a_full_disk_is_a_users_error_and_costs_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Store(tmp_path / "results")
    store.write(make_result(0.1))
    model = tmp_path / "model"
    model.mkdir()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(UserError, match="No space left on device"):
        store.write(make_result(0.2), keep={"deployed": model})

    assert [result.score for result in store] == [0.1]
    assert model.exists()
    assert list((store.root / ".staging").iterdir()) == []


@given(name=st.text(), seed=st.integers(0, 2**31 - 1))
def test_a_folder_name_is_one_safe_part_of_a_path(name: str, seed: int) -> None:
    folder = folder_name(make_spec(task=name, model=name, method=name, seed=seed))

    assert folder.isascii()
    assert len(folder) < 200
    assert not folder.startswith(".")
    assert not set(folder) & set('/\\:*?"<>|\n\0 ')


def test_what_is_no_regular_file_is_never_waited_for(tmp_path: Path) -> None:
    store = Store(tmp_path)
    folder = store.write(make_result(0.5), predictions=ROWS)
    (folder / "predictions.jsonl").unlink()
    os.mkfifo(folder / "predictions.jsonl")
    (run,) = store.runs()
    with pytest.raises(CorruptPredictionsError, match=r"predictions\.jsonl: not a regular file"):
        run.predictions()
    assert run.digest("predictions.jsonl") is None

    (folder / "result.json").unlink()
    (folder / "result.json").symlink_to("/dev/zero")
    with pytest.raises(CorruptResultError, match=r"result\.json: not a regular file"):
        list(store)


def test_a_file_of_any_size_is_one_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store(tmp_path)
    folder = store.write(make_result(0.5), predictions=ROWS)
    for name, error in (
        ("predictions.jsonl", CorruptPredictionsError),
        ("result.json", CorruptResultError),
    ):
        with (folder / name).open("r+b") as stream:
            stream.truncate(2**40)  # a sparse file
        monkeypatch.setitem(stored_run._LIMITS, name, 2 * 2**20)
        (run,) = store.runs()
        read = run.predictions if name == "predictions.jsonl" else run.result
        with pytest.raises(error, match=rf"{name}: larger than 2 MiB"):
            read()


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("[" * 200_000 + "]" * 200_000, "nested more than 100 levels deep"),
        ('{"a":' * 150_000 + "1" + "}" * 150_000, "nested more than 100 levels deep"),
        ("1" * 5_000, "a number with 5,000 digits"),
    ],
)
def test_deep_json_and_long_numbers_are_one_message(tmp_path: Path, value: str, said: str) -> None:
    folder = Store(tmp_path).write(make_result(0.5), predictions=ROWS)
    row = f'{{"split": "validation", "id": "0", "prediction": {value}, "reference": 1}}\n'
    (folder / "predictions.jsonl").write_text(row)
    (run,) = Store(tmp_path).runs()
    with pytest.raises(CorruptPredictionsError, match=said):
        run.predictions()

    content = (folder / "result.json").read_text()
    (folder / "result.json").write_text(content.replace('"score": 0.5', f'"score": {value}'))
    with pytest.raises(CorruptResultError, match=said):
        run.result()
