"""How the cores of a machine are shared out."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from sparsebench.errors import UserError
from sparsebench.execution.executors import local, resources
from sparsebench.execution.executors.local import LocalExecutor

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("asked", "threads"), [(None, 4), ("", 4), ("2", 2), ("16", 4), ("0", 4), ("many", 4)]
)
def test_omp_num_threads_caps_the_threads(
    monkeypatch: pytest.MonkeyPatch, asked: str | None, threads: int
) -> None:
    monkeypatch.setattr(resources.sys, "platform", "other")
    monkeypatch.setattr(resources.os, "cpu_count", lambda: 4)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if asked is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", asked)
    assert resources.threads() == threads


def test_a_gpu_that_is_not_here_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,2")
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    for device in ("auto", "cpu", "cuda", "cuda:2"):
        resources.check_device(device)
    with pytest.raises(UserError, match="--device cuda:1: torch finds the GPUs 0, 2"):
        resources.check_device("cuda:1")
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    resources.check_device("auto")
    with pytest.raises(UserError, match="--device cuda: torch finds no GPU"):
        resources.check_device("cuda")


@pytest.mark.parametrize("device", ["banana", "gpu", "cuda7", ""])
def test_a_device_of_no_kind_is_a_users_mistake(device: str) -> None:
    with pytest.raises(UserError, match="write auto, cpu, cuda or cuda:N"):
        LocalExecutor(device=device)


@pytest.mark.parametrize(
    ("flags", "lacks"),
    [
        ("flags\t\t: fpu sse2 avx2", True),
        ("flags\t\t: fpu avx2 avx512f avx512bw amx_bf16", False),
        ("Features\t: fp asimd", True),
        ("Features\t: fp asimd bf16", False),
        ("", False),
    ],
)
def test_a_cpu_without_bfloat16_is_recognised(
    flags: str, *, lacks: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "cpuinfo").write_text(f"model name\t: A\n{flags}\n")
    monkeypatch.setattr(resources, "_PROCESSOR", tmp_path / "cpuinfo")
    assert resources.lacks_bf16() is lacks


@pytest.mark.parametrize(
    ("device", "precision", "noted"),
    [("cpu", "bf16", 1), ("auto", "bf16", 1), ("cpu", "fp32", 0), ("cuda", "bf16", 0)],
)
def test_training_in_bfloat16_without_it_is_noted(
    device: str, precision: str, noted: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    monkeypatch.setattr(local, "lacks_bf16", lambda: True)
    training = SimpleNamespace(precision=precision)
    job = SimpleNamespace(spec=SimpleNamespace(training=training))
    notes = LocalExecutor(device=device).notes([job])  # type: ignore[list-item]
    assert len(notes) == noted


class TestDefaultWorkers:
    """How many runs go at a time where nobody says so."""

    @pytest.fixture(autouse=True)
    def _machine(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(resources, "threads", lambda: 4)
        monkeypatch.setattr(resources, "free_memory", lambda: 16 * 2**30)
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")

    @staticmethod
    def workers(count: int, *models: str, device: str = "auto") -> int:
        jobs: list[Any] = [SimpleNamespace(model=model) for model in models for _ in range(count)]
        return resources.default_workers(jobs, device)

    def test_small_backbones_fill_the_cores(self) -> None:
        assert self.workers(9, "quick/bert", "quick/t5") == 4
        assert self.workers(3, "quick/bert") == 3

    def test_large_ones_share_the_memory(self, tmp_path: Path) -> None:
        (tmp_path / "config.json").write_text('{"model_type": "bert"}')
        with (tmp_path / "model.safetensors").open("wb") as weights:
            weights.truncate(2**28)  # 256 MiB: 5.5 GiB a run
        assert self.workers(9, "quick/bert", str(tmp_path)) == 2
        with (tmp_path / "model.safetensors").open("wb") as weights:
            weights.truncate(2**31)
        assert self.workers(9, str(tmp_path)) == 1

    def test_one_where_the_size_or_the_device_asks_for_care(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert self.workers(9, "quick/bert", "bert-base-uncased") == 1
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
        assert self.workers(9, "quick/bert") == 1
        assert self.workers(9, "quick/bert", device="cuda:1") == 1
        assert self.workers(9, "quick/bert", device="cpu") == 4
