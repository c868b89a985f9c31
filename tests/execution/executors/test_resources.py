"""How the cores of a machine are shared out."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING

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
