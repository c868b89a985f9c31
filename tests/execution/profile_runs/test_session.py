"""Every condition is a row: measured, skipped or failed, with its reason, and never the last."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from sparsebench import deployed
from sparsebench.execution.profile_runs import session
from sparsebench.execution.profile_runs.conditions import complete_settings
from sparsebench.execution.profile_runs.profiled_models import deployed_model, untrained_models
from sparsebench.execution.profile_runs.session import ProfileSession
from sparsebench.models import Form, load_backbone, model_source
from sparsebench.results.profiles import ProfileStore
from sparsebench.results.records import Status
from sparsebench.schema.measuring import ProfileSettings
from sparsebench.suite import Suite

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sparsebench.results.profiles import ProfileResult

QUICK = {
    "batch_sizes": [1],
    "lengths": [8],
    "devices": ["cpu"],
    "fresh_memory": False,
    "rounds": 3,
    "seconds": 0,
    "limit": 1,
}


def make_suite(*, models: tuple[str, ...] = ("quick/bert",), methods: Any = ("full",)) -> Suite:
    return Suite.model_validate({"name": "s", "models": models, "methods": methods})


def rows(
    suite: Suite | None = None, *, store: Path | None = None, **settings: Any
) -> list[ProfileResult]:
    asked = complete_settings(ProfileSettings.model_validate({**QUICK, **settings}))
    opened = ProfileSession(asked, ProfileStore(store))
    return [row for model in untrained_models(suite or make_suite()) for row in opened.rows(model)]


def test_every_condition_is_a_row() -> None:
    found = rows(batch_sizes=[2, 1], lengths=[8, 9])
    sizes = [(row.spec.length, row.spec.batch_size) for row in found]
    assert sizes == [(8, 1), (8, 2), (9, 1), (9, 2)]
    for row in found:
        assert row.status is Status.OK
        assert not row.spec.trained
        assert row.costs.latency.shapes["input_ids"] == (row.spec.batch_size, row.spec.length)
        assert row.costs.flops.shapes["input_ids"] == (1, row.spec.length)
        assert row.costs.storage.per_task > 0
        assert row.costs.density is not None


@pytest.mark.parametrize(
    ("device", "reason"),
    [
        ("cdua", "unknown device 'cdua'; did you mean 'cuda'?"),
        ("xpu", "torch finds no xpu device on this machine"),
        ("cpu:x", "unknown device 'cpu:x'"),
    ],
)
def test_a_device_that_is_not_there_is_a_row_and_the_rest_goes_on(device: str, reason: str) -> None:
    bad, good = rows(devices=[device, "cpu"])
    assert (bad.status, good.status) == (Status.SKIPPED, Status.OK)
    assert reason in bad.reason
    assert bad.costs is None


def test_a_batch_that_does_not_fit_is_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "free_bytes", lambda _: 0)
    monkeypatch.setattr(session, "activation_peak", lambda *_: measure_peak(2**20))
    one, many = rows(batch_sizes=[1, 4])
    assert one.status is Status.OK
    assert many.status is Status.OOM
    assert "a batch of 4 needs about 0.0 GiB" in many.reason


def measure_peak(size: int) -> Any:
    from sparsebench.results.costs import MemoryKind, MemoryPeak

    return MemoryPeak(kind=MemoryKind.RESIDENT, bytes=size)


def test_memory_that_runs_out_is_told_from_other_errors(monkeypatch: pytest.MonkeyPatch) -> None:
    for error, status in ((MemoryError("x"), Status.OOM), (ValueError("x"), Status.ERROR)):

        def fail(*_: object, error: Exception = error, **__: object) -> None:
            raise error

        monkeypatch.setattr(session, "profile", fail)
        (row,) = rows()
        assert row.status is status
        assert row.reason == ("x" if status is Status.OOM else "ValueError: x")


def test_a_method_that_refuses_and_a_length_that_is_too_long_are_skipped() -> None:
    refused, whole = rows(make_suite(models=("quick/t5",), methods=("bitfit", "full")))
    assert (refused.status, whole.status) == (Status.SKIPPED, Status.OK)
    short, long = rows(lengths=[8, 500])
    assert short.status is Status.OK
    assert long.status is Status.SKIPPED
    assert "too long" in long.reason


def test_runtimes_that_have_nothing_to_do_say_so() -> None:
    suite = make_suite(methods={"magnitude": {"sparsity": 0.9}})
    (row,) = rows(suite)
    by_name = {cost.name: cost for cost in row.costs.runtimes}
    assert set(by_name) == {"dense", "csr", "2:4", "compact", "gathered"}
    assert by_name["csr"].equal
    assert "CUDA" in by_name["2:4"].reason
    assert by_name["csr"].theoretical == pytest.approx(by_name["dense"].theoretical)
    assert by_name["dense"].theoretical > 3
    assert row.costs.flops.matrix_effective <= row.costs.flops.matrix_nonzero


def test_without_weights_only_arithmetic_is_counted() -> None:
    (row,) = rows(make_suite(models=("random:t5-small",)), devices=["meta"])
    assert row.status is Status.OK
    assert row.costs.flops.deviation == 0
    assert set(row.costs.missing) == {"parameters", "latency", "activations"}


def test_what_needs_weights_says_so_where_there_are_none() -> None:
    counted, refused = rows(make_suite(methods=("lora", "magnitude")), devices=["meta"])
    assert counted.status is Status.OK
    assert counted.costs.flops.matrix > 0
    assert refused.status is Status.ERROR
    assert refused.reason == "magnitude reads weights, and `meta` has none: profile it on `cpu`"


def test_peaks_of_a_fresh_process_and_of_a_training_step() -> None:
    (row,) = rows(fresh_memory=True, training_memory=True)
    memory = row.costs.memory
    assert not row.costs.missing
    assert memory.fresh.bytes > memory.weights
    assert memory.training.bytes > 3 * memory.weights, "gradients and two moments besides"


def test_rows_that_are_there_are_not_measured_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = rows(store=tmp_path)
    monkeypatch.setattr(session, "prepare", None)
    assert rows(store=tmp_path) == first
    assert list(ProfileStore(tmp_path)) == first
    assert rows(store=tmp_path, lengths=[9])[0].status is Status.ERROR


@pytest.fixture
def deployed_folder(tmp_path: Path) -> Iterator[Path]:
    backbone = load_backbone(
        model_source("quick/bert"), form=Form.CLASSIFICATION, labels=("a", "b")
    )
    folder = tmp_path / "run" / "deployed"
    deployed.save(backbone.model, folder, form=backbone.form, head=backbone.head)
    return folder


def test_a_folder_without_a_result_is_measured_alone(deployed_folder: Path) -> None:
    settings = complete_settings(ProfileSettings.model_validate(QUICK))
    model = deployed_model(deployed_folder.parent)
    (row,) = ProfileSession(settings, ProfileStore(None)).rows(model)
    assert row.status is Status.OK
    assert row.spec.trained
    assert row.costs.latency.ratio is None
    assert "no untouched backbone" in row.notes[0]
    assert row.costs.storage.per_task is None
