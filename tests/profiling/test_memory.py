"""Peaks are seen, also when they are over, and what is in use already is left out."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest
import torch
from torch import nn

from sparsebench.profiling import MemoryTracker, memory
from sparsebench.profiling.memory import weight_bytes
from sparsebench.profiling.memory_probe import fresh_inference_peak
from sparsebench.results.costs import MemoryKind

MIB = 2**20
BLOCK = 64 * MIB
SLACK = 16 * MIB


def use(size: int) -> None:
    torch.ones(size, dtype=torch.uint8)


def use_and_fail(size: int) -> None:
    use(size)
    raise KeyError


@pytest.fixture(params=["kernel", "thread"])
def _way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both ways to know the peak of the resident set, where the kernel offers its own."""
    if request.param == "thread":
        monkeypatch.setattr(memory, "_CLEAR_REFS", Path("/proc/none/of/that"))
    elif not memory._CLEAR_REFS.exists():
        pytest.skip("the kernel keeps no peak that can be reset")


@pytest.mark.usefixtures("_way")
def test_a_peak_is_seen_that_is_over() -> None:
    tracker = MemoryTracker("cpu")
    assert tracker.peak.bytes == 0
    with tracker.track():
        held = torch.ones(BLOCK, dtype=torch.uint8)
        time.sleep(0.1)  # a thread needs a moment to look
        del held
    assert tracker.peak.kind is MemoryKind.RESIDENT
    assert abs(tracker.peak.bytes - BLOCK) < SLACK


@pytest.mark.usefixtures("_way")
def test_what_was_in_use_before_is_left_out() -> None:
    before = torch.ones(BLOCK, dtype=torch.uint8)
    tracker = MemoryTracker("cpu")
    with tracker.track():
        before.add_(1)
    assert tracker.peak.bytes < SLACK


def test_an_earlier_peak_is_not_taken_for_ours() -> None:
    use(2 * BLOCK)
    tracker = MemoryTracker("cpu")
    with tracker.track():
        use(MIB)
    assert tracker.peak.bytes < SLACK


def test_the_highest_of_several_stages_counts() -> None:
    tracker = MemoryTracker("cpu")
    for size in (MIB, BLOCK, MIB):
        with tracker.track():
            use(size)
    assert abs(tracker.peak.bytes - BLOCK) < SLACK


def test_work_that_fails_leaves_its_peak() -> None:
    tracker = MemoryTracker("cpu")
    with pytest.raises(KeyError), tracker.track():
        use_and_fail(BLOCK)
    assert abs(tracker.peak.bytes - BLOCK) < SLACK


def test_bytes_of_weights_shared_and_sparse() -> None:
    shared = nn.Linear(8, 8, bias=False)
    model = nn.Sequential(shared, shared, nn.Linear(8, 2, bias=False, dtype=torch.float64))
    model.register_buffer("steps", torch.zeros(3, dtype=torch.int32))
    assert weight_bytes(model) == 8 * 8 * 4 + 8 * 2 * 8 + 3 * 4
    kept = torch.eye(8).to_sparse_csr()
    shared.weight = nn.Parameter(kept, requires_grad=False)
    assert weight_bytes(model) == 8 * 4 + (9 + 8) * 8 + 8 * 2 * 8 + 3 * 4


LOADER = """
import torch
from transformers import T5Config, T5ForConditionalGeneration

def load(folder):
    config = T5Config(d_model=8, d_kv=4, d_ff=8, num_layers=1, num_heads=2, vocab_size=9)
    model = T5ForConditionalGeneration(config)
    model.ballast = torch.ones((folder / "bytes").stat().st_size, dtype=torch.uint8)
    return model
"""
"""Stands in for what loads a deployed folder: some megabytes, and a tiny model."""


def test_a_fresh_process_sees_weights_and_activations(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bytes").write_bytes(bytes(BLOCK))
    (tmp_path / "loader_for_test.py").write_text(LOADER)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{Path.cwd()}")
    shapes = {"input_ids": (1, 8), "decoder_input_ids": (1, 4)}
    peak = fresh_inference_peak(tmp_path, loader="loader_for_test:load", shapes=shapes)
    assert peak.bytes > BLOCK


def test_a_fresh_process_that_fails_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho Traceback >&2\necho 'KeyError: 3' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(broken))
    with pytest.raises(RuntimeError, match=r"^KeyError: 3$"):
        fresh_inference_peak(tmp_path, loader="a:b", shapes={"input_ids": (1, 8)})
