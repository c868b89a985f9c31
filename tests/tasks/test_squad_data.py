"""The data of SQuAD: the same from the Hub and from the official files, and errors."""

from __future__ import annotations

import copy
import json
from typing import TYPE_CHECKING, Any

import datasets
import pytest

from sparsebench.errors import UserError
from sparsebench.tasks import DataSource, Form, MissingDataError
from sparsebench.tasks.squad import SQUAD, SQUAD2, aligned
from sparsebench.tasks.windows import span_of

if TYPE_CHECKING:
    from pathlib import Path

CONTEXT = "  A red cat sleeps; the red dog barks."
ROWS = [
    {"id": "1", "question": " What sleeps?", "text": ["red cat"], "start": [4]},
    {"id": "2", "question": "Which dog?", "text": ["red ", "dog"], "start": [24, 28]},
]
NULL = object()
SILENT = {"id": "3", "question": "Who runs?", "text": [], "start": []}


def write(folder: Path, version: str, rows: list[dict[str, Any]]) -> Path:
    qas = [
        {
            "id": row["id"],
            "question": row["question"],
            "answers": [
                {"text": text, "answer_start": start}
                for text, start in zip(row["text"], row["start"], strict=True)
            ],
            "is_impossible": not row["text"],
        }
        for row in rows
    ]
    content = {"data": [{"title": "T", "paragraphs": [{"context": CONTEXT, "qas": qas}]}]}
    for split in ("train", "dev"):
        (folder / f"{split}-{version}.json").write_text(json.dumps(content))
    return folder


def hub(rows: list[dict[str, Any]], *, strip: bool) -> datasets.DatasetDict:
    """What the Hub gives: of 2.0 without blanks at the ends, the places of answers left alone."""

    def text(value: str) -> str:
        return value.strip() if strip else value

    split = datasets.Dataset.from_list(
        [
            {
                "id": row["id"],
                "title": "T",
                "context": text(CONTEXT),
                "question": text(row["question"]),
                "answers": {
                    "text": [text(answer) for answer in row["text"]],
                    "answer_start": row["start"],
                },
            }
            for row in rows
        ]
    )
    return datasets.DatasetDict({"train": split, "validation": split})


@pytest.mark.parametrize(("task", "version"), [(SQUAD, "v1.1"), (SQUAD2, "v2.0")])
def test_both_sources_give_the_same(
    task: Any, version: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [*ROWS, SILENT] if task is SQUAD2 else ROWS
    remote = hub(rows, strip=task is SQUAD2)
    monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: remote)
    files = task.load(DataSource(write(tmp_path, version, rows)))
    assert files.fingerprint == task.load(DataSource()).fingerprint
    for row in files.train:
        for text, start in zip(row["texts"], row["starts"], strict=True):
            assert row["context"][start:].startswith(text)
            assert text == text.strip()
    assert files.train[0]["question"] == "What sleeps?"


def test_an_answer_is_looked_for_near_where_it_is_said_to_be() -> None:
    assert aligned("a cat, a cat, a cat", "cat ", 8, where="x") == ("cat", 9)
    with pytest.raises(UserError, match="x: the answer 'dog' is not in its context"):
        aligned("a cat", "dog", 0, where="x")
    far = "a cat" + "," * 100
    with pytest.raises(UserError, match="'answer_start' of the answer 'cat' is 90, where the"):
        aligned(far, "cat", 90, where="x")
    with pytest.raises(UserError, match=r"is -50, outside the .*; it occurs at 2"):
        aligned(far, "cat", -50, where="x")


class TestMistakes:
    def break_(self, folder: Path, *path: Any, value: Any = None) -> None:
        file = write(folder, "v1.1", copy.deepcopy(ROWS)) / "dev-v1.1.json"
        content = json.loads(file.read_text())
        place = content
        for key in path[:-1]:
            place = place[key]
        if value is None:
            del place[path[-1]]
        else:
            place[path[-1]] = None if value is NULL else value
        file.write_text(json.dumps(content))

    QAS = ("data", 0, "paragraphs", 0, "qas", 1)

    @pytest.mark.parametrize(
        ("path", "value", "message"),
        [
            (("data",), None, "json: the key 'data' is missing"),
            ((*QAS, "question"), None, "data[0].paragraphs[0].qas[1]: the key 'question'"),
            ((*QAS, "answers"), 3, "data[0].paragraphs[0].qas[1]: 'answers' is not of the type"),
            ((*QAS, "answers"), [], "no answer; in SQuAD 1.1 every question has one"),
            ((*QAS, "id"), "1", "the id '1' occurs twice"),
            ((*QAS, "answers", 1, "text"), "cow", "the answer 'cow' is not in its context"),
            (
                (*QAS, "answers", 1, "answer_start"),
                -10,
                "'2': 'answer_start' of the answer 'dog' is -10, outside the context, which has 38",
            ),
            ((*QAS, "answers", 0, "answer_start"), 4000, "the answer 'red ' is 4000, outside the"),
            ((*QAS, "answers", 0, "answer_start"), -1, "the answer 'red ' is -1, outside the"),
            (
                (*QAS, "answers", 1, "answer_start"),
                27,
                "'dog' is 27, where the context has ' do'; it occurs at 28",
            ),
            ((*QAS, "is_impossible"), "false", "'is_impossible' should be true or false"),
            ((*QAS, "is_impossible"), "no", "'is_impossible' should be true or false, not 'no'"),
            ((*QAS, "is_impossible"), 0, "'is_impossible' should be true or false, not 0"),
            ((*QAS, "is_impossible"), 1, "'is_impossible' should be true or false, not 1"),
            ((*QAS, "is_impossible"), NULL, "'is_impossible' should be true or false, not None"),
        ],
    )
    def test_are_told_with_their_place(
        self, tmp_path: Path, path: tuple[Any, ...], value: Any, message: str
    ) -> None:
        self.break_(tmp_path, *path, value=value)
        with pytest.raises(UserError) as raised:
            SQUAD.load_split(DataSource(tmp_path), "dev")
        assert message in str(raised.value)
        assert "dev-v1.1.json" in str(raised.value)

    def test_that_are_no_json_are_told_with_their_line(self, tmp_path: Path) -> None:
        file = write(tmp_path, "v1.1", ROWS) / "train-v1.1.json"
        file.write_text('{\n"data": [}')
        with pytest.raises(UserError, match=r"train-v1\.1\.json:2: not JSON"):
            SQUAD.load(DataSource(tmp_path))

    def test_absent_files_are_named(self, tmp_path: Path) -> None:
        with pytest.raises(MissingDataError, match=r"train-v1\.1\.json: put the official file"):
            SQUAD.load(DataSource(tmp_path))


def test_held_out_questions_share_no_article() -> None:
    rows = datasets.Dataset.from_dict(
        {"id": [str(n) for n in range(40)], "title": [f"t{n % 10}" for n in range(40)]}
    )
    kept, held = SQUAD.hold_out(rows, share=0.2, seed=0)
    assert len(held) == 8
    assert not set(kept["title"]) & set(held["title"])


def test_questions_of_one_article_cannot_be_held_out() -> None:
    rows = datasets.Dataset.from_dict({"id": ["1", "2"], "title": ["t", "t"]})
    with pytest.raises(UserError, match="all examples have the same 'title' and stay together"):
        SQUAD.hold_out(rows, share=0.2, seed=0)


@pytest.mark.real
def test_every_answer_of_the_development_set_can_be_reached(
    data_folder: Path, model_folder: Path
) -> None:
    """Within 30 tokens of one window; the rest is longer, or begins or ends inside a word."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model_folder)
    rows = SQUAD.load_split(DataSource(data_folder), "dev")["validation"].select(
        range(0, 10570, 20)
    )
    features = SQUAD.encode_inputs(rows, tokenizer=tokenizer, form=Form.SPAN, max_length=384)
    held: set[int] = set()
    for row in features.with_format("numpy"):
        example = rows[int(row["example"])]
        for text, start in zip(example["texts"], example["starts"], strict=True):
            span = span_of(row["starts"], row["ends"], start, start + len(text))
            if span and span[1] - span[0] < 30:
                held.add(int(row["example"]))
    assert len(held) / len(rows) > 0.995
