"""The cache of features: used where it holds, harmless where it does not."""

from __future__ import annotations

import multiprocessing
from typing import TYPE_CHECKING, Any

import pytest
from datasets import Dataset

from sparsebench.models.families import Form
from sparsebench.tasks.features import cache_folder, encoded, tokenizer_fingerprint
from sparsebench.tasks.glue import COLA, SST2, GlueTask

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import PreTrainedTokenizerBase

ROWS = Dataset.from_list(
    [
        {"id": "a", "sentence": "the cat sleeps .", "label": 1},
        {"id": "b", "sentence": "red", "label": 0},
    ]
)


@pytest.fixture
def encodings(monkeypatch: pytest.MonkeyPatch) -> list[Dataset]:
    """Records what is really encoded."""
    calls: list[Dataset] = []
    encode = GlueTask.encode

    def record(task: GlueTask, examples: Dataset, **settings: Any) -> Dataset:
        calls.append(examples)
        return encode(task, examples, **settings)

    monkeypatch.setattr(GlueTask, "encode", record)
    return calls


def features(
    tokenizer: PreTrainedTokenizerBase,
    folder: Path,
    *,
    task: GlueTask = COLA,
    rows: Dataset = ROWS,
    form: Form = Form.CLASSIFICATION,
    max_length: int = 16,
) -> Dataset:
    return encoded(task, rows, tokenizer=tokenizer, form=form, max_length=max_length, folder=folder)


def test_the_second_time_nothing_is_encoded(
    word_tokenizer: PreTrainedTokenizerBase, tmp_path: Path, encodings: list[Dataset]
) -> None:
    first = features(word_tokenizer, tmp_path)
    second = features(word_tokenizer, tmp_path)
    assert len(encodings) == 1
    assert first.to_list() == second.to_list()
    assert first.features == second.features


def test_lengths_are_those_of_the_inputs(
    word_tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    for _ in range(2):
        made = features(word_tokenizer, tmp_path)
        assert made["length"] == [len(ids) for ids in made["input_ids"]] == [6, 3]


def test_features_that_are_a_selection_are_stored_as_such(
    word_tokenizer: PreTrainedTokenizerBase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encode = GlueTask.encode
    monkeypatch.setattr(GlueTask, "encode", lambda *a, **k: encode(*a, **k).select([1]))
    for _ in range(2):
        assert features(word_tokenizer, tmp_path)["length"] == [3]


@pytest.mark.parametrize(
    "change",
    [
        {"task": SST2},
        {"max_length": 5},
        {"rows": ROWS.select([1, 0])},
        {"rows": ROWS.select([0])},
        {"rows": ROWS.map(lambda row: {"label": 0})},
    ],
    ids=["task", "length", "order", "number", "labels"],
)
def test_what_features_depend_on_makes_other_features(
    change: dict[str, Any],
    word_tokenizer: PreTrainedTokenizerBase,
    tmp_path: Path,
    encodings: list[Dataset],
) -> None:
    features(word_tokenizer, tmp_path)
    features(word_tokenizer, tmp_path, **change)
    assert len(encodings) == 2


def test_tokenizers_and_forms_have_their_own(
    t5_tokenizer: PreTrainedTokenizerBase, gpt2_tokenizer: PreTrainedTokenizerBase, tmp_path: Path
) -> None:
    made = [
        features(t5_tokenizer, tmp_path, form=Form.TEXT_TO_TEXT),
        features(t5_tokenizer, tmp_path),
        features(gpt2_tokenizer, tmp_path),
    ]
    assert len({str(rows["input_ids"]) for rows in made}) == 3


def test_the_tokenizer_fingerprint_forgets_the_last_call(
    word_tokenizer: PreTrainedTokenizerBase,
) -> None:
    before = tokenizer_fingerprint(word_tokenizer)
    word_tokenizer(["it"], padding="max_length", truncation=True, max_length=7)
    assert tokenizer_fingerprint(word_tokenizer) == before


def test_the_tokenizer_fingerprint_sees_what_matters(
    word_tokenizer: PreTrainedTokenizerBase, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = {tokenizer_fingerprint(word_tokenizer)}
    monkeypatch.setattr(word_tokenizer, "truncation_side", "left")
    seen.add(tokenizer_fingerprint(word_tokenizer))
    monkeypatch.setattr(word_tokenizer, "model_input_names", ["input_ids", "attention_mask"])
    seen.add(tokenizer_fingerprint(word_tokenizer))
    assert len(seen) == 3


@pytest.mark.parametrize("share", [0.0, 0.3, 0.7])
def test_a_damaged_file_is_made_anew(
    share: float,
    word_tokenizer: PreTrainedTokenizerBase,
    tmp_path: Path,
    encodings: list[Dataset],
) -> None:
    expected = features(word_tokenizer, tmp_path).to_list()
    (file,) = tmp_path.rglob("*.arrow")
    content = file.read_bytes()
    file.write_bytes(content[: int(share * len(content))])
    assert features(word_tokenizer, tmp_path).to_list() == expected
    assert features(word_tokenizer, tmp_path).to_list() == expected
    assert len(encodings) == 2


def test_a_folder_that_cannot_be_written_does_no_harm(
    word_tokenizer: PreTrainedTokenizerBase, tmp_path: Path, encodings: list[Dataset]
) -> None:
    (tmp_path / "features").write_text("a file where the folder should be")
    for _ in range(2):
        assert features(word_tokenizer, tmp_path)["length"] == [6, 3]
    assert len(encodings) == 2


def test_a_failed_write_leaves_nothing_behind(
    word_tokenizer: PreTrainedTokenizerBase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr("pathlib.Path.replace", full)
    assert features(word_tokenizer, tmp_path)["length"] == [6, 3]
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def _encode_often(tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    for _ in range(5):
        assert features(tokenizer, folder)["length"] == [6, 3]
        for file in folder.rglob("*.arrow"):
            file.unlink(missing_ok=True)


def test_many_may_write_at_once(word_tokenizer: PreTrainedTokenizerBase, tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    workers = [
        context.Process(target=_encode_often, args=(word_tokenizer, tmp_path)) for _ in range(4)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(timeout=60)
    assert [worker.exitcode for worker in workers] == [0] * 4


def test_the_folder_can_be_chosen(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SPARSEBENCH_CACHE", str(tmp_path / "own"))
    assert cache_folder() == tmp_path / "own"
    monkeypatch.delenv("SPARSEBENCH_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "sparsebench"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder() == tmp_path / ".cache" / "sparsebench"
