"""The data of GLUE: the same examples from the Hub and from the official files, and errors."""

from __future__ import annotations

import logging
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

import datasets
import pytest
from tasks.glue_samples import SAMPLES

from sparsebench.errors import UserError
from sparsebench.tasks import TASKS, DataSource, MissingDataError
from sparsebench.tasks.glue import ALL, MNLI, MRPC, QNLI, QQP, RTE, STSB, WNLI, GlueTask
from sparsebench.tasks.loading import load_data

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

COMMIT = "0123456789abcdef0123456789abcdef01234567"
each_task = pytest.mark.parametrize("task", ALL, ids=lambda task: task.name)


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """Stands in for the Hub; returns the calls it got."""
    calls: list[tuple[Any, ...]] = []

    def load_dataset(path: str, name: str, *, revision: str | None) -> datasets.DatasetDict:
        calls.append((path, name, revision))
        splits = SAMPLES[name].hub()
        splits["train"].info.download_checksums = {
            f"hf://datasets/{path}@{COMMIT}/{name}/train-00000-of-00001.parquet": {"num_bytes": 1}
        }
        return splits

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    return calls


class TestBothSources:
    @each_task
    def test_give_the_same_examples(self, task: GlueTask, tmp_path: Path, hub: object) -> None:
        SAMPLES[task.name].write(tmp_path)
        files, remote = task.load(DataSource(tmp_path)), task.load(DataSource())
        assert files.fingerprint == remote.fingerprint
        assert files.train.to_list() == remote.train.to_list()
        assert list(files.evaluation) == list(remote.evaluation)
        for split, rows in files.evaluation.items():
            assert rows.to_list() == remote.evaluation[split].to_list()

    @each_task
    def test_give_the_labels_of_the_hub(self, task: GlueTask, tmp_path: Path) -> None:
        SAMPLES[task.name].write(tmp_path)
        data = task.load(DataSource(tmp_path))
        splits = {"train": data.train, **data.evaluation}
        expected = {k: [row[-1] for row in rows] for k, rows in SAMPLES[task.name].rows.items()}
        assert {k: rows["label"] for k, rows in splits.items()} == {
            k: pytest.approx(labels) for k, labels in expected.items()
        }
        assert task.labels == SAMPLES[task.name].classes or task is STSB

    @each_task
    def test_give_every_example_its_own_id(self, task: GlueTask, tmp_path: Path) -> None:
        SAMPLES[task.name].write(tmp_path)
        data = task.load(DataSource(tmp_path))
        ids = [key for rows in (data.train, *data.evaluation.values()) for key in rows["id"]]
        assert len(set(ids)) == len(ids)

    def test_tell_changed_examples_apart(self, tmp_path: Path) -> None:
        fingerprints = set()
        for place, (old, new) in enumerate(
            [("", ""), ("A dog", "The dog"), ("not_entailment", "entailment"), ("No.", "Yes.")]
        ):
            home = SAMPLES["rte"].write(tmp_path / str(place))
            for file in home.iterdir():
                file.write_text(file.read_text().replace(old, new))
            fingerprints.add(RTE.load(DataSource(tmp_path / str(place))).fingerprint)
        assert len(fingerprints) == 4

    def test_swapped_sentences_are_other_examples(self, tmp_path: Path) -> None:
        SAMPLES["rte"].write(tmp_path / "as is")
        home = SAMPLES["rte"].write(tmp_path / "swapped")
        header = "index\tsentence2\tsentence1\tlabel"
        for file in home.iterdir():
            _, _, rows = file.read_text().partition("\n")
            file.write_text(f"{header}\n{rows}")
        first, second = (RTE.load(DataSource(tmp_path / n)) for n in ("as is", "swapped"))
        assert first.train[0]["sentence1"] == second.train[0]["sentence2"]
        assert first.fingerprint != second.fingerprint


class TestHub:
    def test_records_the_commit(self, hub: list[tuple[Any, ...]]) -> None:
        data = MRPC.load(DataSource(revision="main"))
        assert hub == [("nyu-mll/glue", "mrpc", "main")]
        assert data.origin == f"nyu-mll/glue@{COMMIT}"

    def test_out_of_reach_says_what_to_do(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(*args: object, **settings: object) -> None:
            raise ConnectionError("no route to host\nand much more")

        monkeypatch.setattr(datasets, "load_dataset", fail)
        with pytest.raises(MissingDataError, match=r"^MRPC: .*\(no route to host\).*--data"):
            MRPC.load(DataSource())

    def test_labels_that_are_none_are_an_error(
        self, monkeypatch: pytest.MonkeyPatch, hub: object
    ) -> None:
        splits = SAMPLES["rte"].hub()
        splits["validation"] = splits["test"]
        monkeypatch.setattr(datasets, "load_dataset", lambda *_, **__: splits)
        with pytest.raises(UserError, match=r"nyu-mll/glue rte, validation\[0\]: label -1"):
            RTE.load(DataSource())


class TestFolder:
    @pytest.mark.parametrize("name", sorted(SAMPLES))
    def test_every_task_has_the_columns_that_it_needs(self, tmp_path: Path, name: str) -> None:
        SAMPLES[name].write(tmp_path)
        data = load_data(name, DataSource(tmp_path))
        assert set(TASKS.get(name).example_columns) == set(data.train.column_names)

    def test_may_hold_a_folder_glue(self, tmp_path: Path) -> None:
        home = SAMPLES["rte"].write(tmp_path / "glue")
        data = RTE.load(DataSource(tmp_path))
        assert data.origin == str(home)
        assert data.fingerprint == RTE.load(DataSource(tmp_path / "glue")).fingerprint

    def test_a_missing_file_is_named(self, tmp_path: Path) -> None:
        home = SAMPLES["qnli"].write(tmp_path / "glue")
        (home / "train.tsv").unlink()
        with pytest.raises(
            MissingDataError, match=r"QNLI: there is no .*glue/QNLI/train\.tsv: put"
        ):
            QNLI.load(DataSource(tmp_path))

    def test_both_development_sets_of_mnli_are_needed(self, tmp_path: Path) -> None:
        (SAMPLES["mnli"].write(tmp_path) / "dev_mismatched.tsv").unlink()
        with pytest.raises(MissingDataError, match=r"dev_mismatched\.tsv"):
            MNLI.load(DataSource(tmp_path))

    def test_broken_rows_of_qqp_are_skipped_with_a_warning(
        self, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        SAMPLES["qqp"].write(tmp_path)
        with caplog.at_level(logging.WARNING):
            data = QQP.load(DataSource(tmp_path))
        assert len(data.train) == 2
        assert "train.tsv: skipped 2 rows" in caplog.text

    @pytest.mark.parametrize(
        ("task", "edit", "message"),
        [
            (RTE, lambda t: t + "1\tonly one\tentailment\n", "train.tsv:3: 3 values where 4"),
            (RTE, lambda t: t + "1\ta\tb\tmaybe\n", "train.tsv:3: label 'maybe' is none of entai"),
            (RTE, lambda t: t + "\n1\ta\tb\t2\n", "train.tsv:4: label '2' is none of"),
            (WNLI, lambda t: t + "1\ta\tb\t-1\n", "train.tsv:3: label '-1'"),
            (RTE, lambda t: t + "1\t \t\tentailment\n", "train.tsv:3: the text is empty"),
            (RTE, lambda t: t.replace("sentence2", "sentence_2"), "train.tsv:1: .*'sentence2'; d"),
            (RTE, lambda t: t.partition("\n")[0] + "\n", "RTE: its train set is empty"),
            (RTE, lambda _: "", "train.tsv:1: no column 'sentence1'"),
            (STSB, lambda t: t.replace("3.800", "nan"), "train.tsv:2: label 'nan' is not a number"),
            (STSB, lambda t: t.replace("3.800", "much"), "train.tsv:2: label 'much' is not a num"),
        ],
    )
    def test_a_malformed_file_is_an_error_with_its_line(
        self, task: GlueTask, edit: Callable[[str], str], message: str, tmp_path: Path
    ) -> None:
        file = SAMPLES[task.name].write(tmp_path) / "train.tsv"
        file.write_text(edit(file.read_text()))
        with pytest.raises(UserError, match=message):
            task.load(DataSource(tmp_path))


class TestRegistration:
    def test_every_task_is_an_entry_point(self) -> None:
        points = {point.name: point for point in entry_points(group="sparsebench.tasks")}
        assert {task.name: task for task in ALL} == {
            name: point.load() for name, point in points.items() if "tasks.glue" in point.value
        }

    @each_task
    def test_every_task_describes_itself(self, task: GlueTask) -> None:
        assert task.group == "glue"
        assert task.title
        assert task.description.endswith(".")
        assert task.headline_metric


@pytest.mark.real
class TestRealData:
    @pytest.mark.parametrize(
        ("name", "train", "dev"),
        [
            ("cola", 8551, 1043),
            ("sst2", 67349, 872),
            ("mrpc", 3668, 408),
            ("stsb", 5749, 1500),
            ("rte", 2490, 277),
            ("wnli", 635, 71),
        ],
    )
    def test_row_counts(self, name: str, train: int, dev: int, data_folder: Path) -> None:
        task = next(task for task in ALL if task.name == name)
        data = task.load(DataSource(data_folder))
        assert (len(data.train), len(data.evaluation["validation"])) == (train, dev)

    def test_development_set_of_qnli(self, data_folder: Path, tmp_path: Path) -> None:
        home = SAMPLES["qnli"].write(tmp_path)
        (home / "dev.tsv").unlink()
        (home / "dev.tsv").symlink_to(data_folder / "glue" / "QNLI" / "dev.tsv")
        rows = QNLI.load(DataSource(tmp_path)).evaluation["validation"]
        assert (len(rows), rows["label"].count(0)) == (5463, 2702)

    def test_absent_training_set_of_qnli(self, data_folder: Path) -> None:
        if (data_folder / "glue" / "QNLI" / "train.tsv").exists():
            pytest.skip("the training set of QNLI is there")
        with pytest.raises(MissingDataError, match=r"QNLI/train\.tsv"):
            QNLI.load(DataSource(data_folder))
