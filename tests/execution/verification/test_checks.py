"""Whatever is changed in a folder of results, it is found and named."""

from __future__ import annotations

import hashlib
import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from factories import make_answered, make_result

from sparsebench.execution.verification import verify
from sparsebench.results.records import Status
from sparsebench.results.store import Store, folder_name, run_key
from sparsebench.results.stored_run import FolderRun, read_result
from sparsebench.results.verified import Verified

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def found(folder: Path) -> dict[str, list[str]]:
    """What is wrong, by the folder of the run."""
    told: dict[str, list[str]] = {}
    for fault in verify(Store(folder).runs()).faults:
        told.setdefault(fault.run.name, []).append(fault.message)
    return told


def victim(folder: Path) -> Path:
    return next(folder.glob("mrpc--minilm--lora--s1--*"))


def change(run: Path, edit: Callable[[dict[str, Any]], object], *, seal: bool = False) -> None:
    """Edits a result; with ``seal`` as one who knows of the checksums."""
    file = run / "result.json"
    content = json.loads(file.read_text())
    edit(content)
    file.write_text(json.dumps(content, indent=1))
    if seal:
        reseal(run)


def reseal(run: Path) -> None:
    names = ("predictions.jsonl", "result.json")
    lines = [f"{hashlib.sha256((run / n).read_bytes()).hexdigest()}  {n}\n" for n in names]
    (run / "SHA256SUMS").write_text("".join(lines))


def test_a_sound_folder_is_recomputed(folder: Path) -> None:
    Store(folder).write(make_result(status=Status.OOM, task="rte"))

    report = verify(Store(folder).runs())

    assert report.faults == []
    kinds = [evidence for evidence, _ in report.verified.values()]
    assert sorted(kinds) == [Verified.RECOMPUTED] * 8 + [Verified.REPORTED]


@pytest.mark.parametrize("seal", [False, True])
def test_one_digit_of_a_score(folder: Path, *, seal: bool) -> None:
    run = victim(folder)
    change(run, lambda content: content.update(score=content["score"] + 1e-4), seal=seal)

    told = found(folder)
    assert list(told) == [run.name]
    assert "its score is" in told[run.name][-1]
    assert any("checksum" in message for message in told[run.name]) != seal


@pytest.mark.parametrize("seal", [False, True])
def test_one_digit_of_a_metric(folder: Path, *, seal: bool) -> None:
    run = victim(folder)
    change(run, lambda content: content["scores"]["validation"].update(f1=0.9), seal=seal)

    assert "validation f1 is 0.9, but its predictions give" in found(folder)[run.name][-1]


def test_a_cost_that_no_prediction_can_tell(folder: Path) -> None:
    run = victim(folder)
    change(run, lambda content: content["provenance"].update(threads=7))

    assert found(folder) == {
        run.name: ["result.json is not what was written: its checksum differs"]
    }


def test_one_prediction(folder: Path) -> None:
    run = victim(folder)
    file = run / "predictions.jsonl"
    first, *rest = file.read_text().splitlines(keepends=True)
    row = json.loads(first)
    row["prediction"] = 1 - row["prediction"]
    file.write_text("".join([json.dumps(row) + "\n", *rest]))

    told = found(folder)[run.name]
    assert "predictions.jsonl is not what was written: its checksum differs" in told
    assert "predictions.jsonl is not the file that its result was computed from" in told
    assert any("its score is" in message for message in told)


def test_a_reference_turned_to_what_was_predicted(folder: Path) -> None:
    run = victim(folder)
    file = run / "predictions.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    for row in rows:
        row["reference"] = row["prediction"]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    perfect = {"score": 1.0, "scores": {"validation": {"accuracy": 1.0, "f1": 1.0}}}
    change(run, lambda c: c.update(perfect, files={"predictions.jsonl": digest}), seal=True)

    assert found(folder) == {run.name: ["its examples are not those of other runs on the data d0"]}


def test_a_result_copied_to_another_methods_folder(folder: Path) -> None:
    run = victim(folder)
    other = next(folder.glob("mrpc--minilm--full--s1--*"))
    for name in ("result.json", "predictions.jsonl", "SHA256SUMS"):
        shutil.copy(other / name, run / name)

    (message,) = found(folder)[run.name]
    assert message.startswith("the result of another run (mrpc · minilm · full · seed 1)")


def test_a_method_renamed(folder: Path) -> None:
    run = victim(folder)
    change(run, lambda c: c["spec"]["method"].update(label="mine", name="mine"), seal=True)

    assert (
        "the spec (method, settings, seed, data fingerprint ...) is not"
        in found(folder)[run.name][0]
    )


@pytest.mark.parametrize("name", ["result.json", "predictions.jsonl"])
@pytest.mark.parametrize("left", [0, 100, -1])
def test_a_truncated_file(folder: Path, name: str, left: int) -> None:
    run = victim(folder)
    file = run / name
    file.write_bytes(file.read_bytes()[:left])

    assert list(found(folder)) == [run.name]


@pytest.mark.parametrize("name", ["predictions.jsonl", "SHA256SUMS"])
def test_a_file_that_is_gone(folder: Path, name: str) -> None:
    run = victim(folder)
    (run / name).unlink()

    report = verify(Store(folder).runs())
    if name == "SHA256SUMS":  # of an older version: told, not wrong
        assert (report.faults, report.unsealed) == ([], 1)
    else:
        assert {fault.run.name for fault in report.faults} == {run.name}


@pytest.fixture
def kept(folder: Path, tmp_path: Path) -> Path:
    """The folder of a run that was made with ``--keep-models``."""
    store, run = Store(folder), victim(folder)
    result = read_result(run / "result.json")
    rows = [json.loads(line) for line in (run / "predictions.jsonl").read_text().splitlines()]
    deployed = tmp_path / "deployed"
    (deployed / "adapter").mkdir(parents=True)
    (deployed / "model.safetensors").write_bytes(b"weights")
    (deployed / "adapter" / "config.json").write_text("{}")
    return store.write(result, predictions=rows, keep={"deployed": deployed})


def test_a_run_with_its_model(kept: Path) -> None:
    assert found(kept.parent) == {}


@pytest.mark.parametrize("name", ["model.safetensors", "adapter/config.json"])
def test_a_model_that_is_not_what_was_written(kept: Path, name: str) -> None:
    (kept / "deployed" / name).write_text("other")

    message = f"deployed/{name} is not what was written: its checksum differs"
    assert found(kept.parent) == {kept.name: [message]}


@pytest.mark.parametrize("name", ["../model", "/etc/hostname", "deployed/../../model"])
def test_a_checksum_of_a_file_outside_the_run(folder: Path, name: str) -> None:
    run = victim(folder)
    with (run / "SHA256SUMS").open("a") as stream:
        stream.write(f"{'0' * 64}  {name}\n")

    (message,) = found(folder)[run.name]
    assert message.startswith("its checksums cannot be read")


@pytest.fixture
def generated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a run on E2E, made and verified where there is no Java."""
    monkeypatch.setattr("sparsebench.metrics.captions.absence", lambda: "needs Java")
    texts = ["Blue Spice is a pub .", "It is cheap ."]
    mrs = ["name[Blue Spice], eatType[pub]", "name[Cotto], priceRange[cheap]"]
    right = [{"mr": mr, "texts": [text]} for mr, text in zip(mrs, texts, strict=True)]
    result, rows = make_answered(texts, right, task="e2e")
    absent = result.model_copy(update={"missing": {"meteor": "needs Java"}})
    return Store(tmp_path / "generated").write(absent, predictions=rows)


def test_a_metric_that_cannot_be_computed_here_is_told_and_not_wrong(generated: Path) -> None:
    change(generated, lambda c: c["scores"]["validation"].update(meteor=0.4), seal=True)

    report = verify([FolderRun(generated)])

    assert report.faults == []
    assert report.unchecked == {"meteor": "needs Java"}


def test_a_metric_that_could_not_be_computed_then_is_not_wrong(
    generated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    change(generated, lambda c: c["scores"]["validation"].pop("nist"), seal=True)
    assert "nist is None, but" in found(generated.parent)[generated.name][0]
    monkeypatch.setattr("sparsebench.metrics.captions.absence", lambda: None)
    for name in ("Meteor", "RougeL", "Cider"):
        told = {"rouge_l" if name == "RougeL" else name.lower(): 0.5}
        monkeypatch.setattr(f"sparsebench.metrics.captions.{name}.values", lambda *_, t=told: t)

    said = found(generated.parent)[generated.name]

    assert not any("meteor" in message for message in said)
    assert any("rouge_l is None, but its predictions give 0.5" in message for message in said)


def test_another_data_fingerprint(folder: Path) -> None:
    run = victim(folder)
    change(run, lambda content: content["spec"].update(data_fingerprint="d1"), seal=True)

    assert "its key is" in found(folder)[run.name][0]


def test_another_data_fingerprint_with_the_key_and_the_folder_that_go_with_it(
    folder: Path,
) -> None:
    run = victim(folder)
    spec = read_result(run / "result.json").spec.model_copy(update={"data_fingerprint": "d1"})
    moved = run.rename(run.with_name(folder_name(spec)))
    edit = {"spec": spec.model_dump(mode="json"), "key": run_key(spec)}
    change(moved, lambda content: content.update(edit), seal=True)

    report = verify(Store(folder).runs())
    (doubt,) = report.doubts
    assert doubt.run.folder == moved
    assert doubt.message.startswith("its data is said to be d1, and its examples are those of runs")
    assert report.verified[run_key(spec)][0] is Verified.REPORTED
    assert report.faults == []


@pytest.mark.parametrize("left", [(), ("predictions.jsonl",)])
def test_a_file_that_was_taken_off_the_checksums(folder: Path, left: tuple[str, ...]) -> None:
    run = victim(folder)
    change(run, lambda content: content["provenance"].update(threads=7))
    lines = (run / "SHA256SUMS").read_text().splitlines(keepends=True)
    (run / "SHA256SUMS").write_text("".join(line for line in lines if line.split()[1] in left))

    assert "result.json has no checksum, and the others have" in found(folder)[run.name]


def test_predictions_of_a_split_without_a_name(folder: Path) -> None:
    run = victim(folder)
    file = run / "predictions.jsonl"
    file.write_text(file.read_text().replace('"validation"', "5"))

    assert any("split is no text" in message for message in found(folder)[run.name])


def test_predictions_of_an_unknown_task_cannot_be_scored(folder: Path) -> None:
    run = victim(folder)
    spec = read_result(run / "result.json").spec.model_copy(update={"task": "riddles"})
    moved = run.rename(run.with_name(folder_name(spec)))
    edit = {"spec": spec.model_dump(mode="json"), "key": run_key(spec)}
    change(moved, lambda content: content.update(edit), seal=True)

    (message,) = found(folder)[moved.name]
    assert message.startswith("its scores cannot be computed again: unknown task 'riddles'")
