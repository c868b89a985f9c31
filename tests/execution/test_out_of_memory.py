"""Running out of memory is ``oom``, in whichever words, under ``run`` and under ``profile``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from executor_jobs import make_jobs

from sparsebench.errors import UserError
from sparsebench.errors.memory import out_of_memory
from sparsebench.execution import run as run_module
from sparsebench.execution.profile_runs import session
from sparsebench.execution.profile_runs.conditions import complete_settings
from sparsebench.execution.profile_runs.profiled_models import untrained_models
from sparsebench.results.profiles import ProfileStore
from sparsebench.results.records import Status
from sparsebench.schema.measuring import ProfileSettings
from sparsebench.suite import Suite

if TYPE_CHECKING:
    from pathlib import Path

ERRORS = [
    MemoryError(),
    MemoryError("std::bad_alloc"),
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
    RuntimeError("CUDA error: out of memory"),
    RuntimeError("CUDA driver error: out of memory"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"),
    RuntimeError("std::bad_alloc"),
    RuntimeError("[enforce fail at alloc_cpu.cpp:1] DefaultCPUAllocator: can't allocate memory"),
    RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes."),
    OSError(12, "Cannot allocate memory"),
]
OTHERS = [
    RuntimeError("CUDA error: device-side assert triggered"),
    OSError(28, "No space left on device"),
    ValueError("x"),
]


@pytest.mark.parametrize("error", [*ERRORS, *OTHERS], ids=str)
def test_under_run(error: Exception, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise error

    (job,) = make_jobs(tmp_path, "full")
    monkeypatch.setattr(run_module, "_train", fail)
    if isinstance(error, OSError) and error not in ERRORS:
        with pytest.raises(UserError, match="No space left"):
            run_module.run(job, lambda _: None)
        return
    outcome = run_module.run(job, lambda _: None)
    assert outcome is not None
    assert (outcome.result.status is Status.OOM) == (error in ERRORS)


@pytest.mark.parametrize("error", [*ERRORS, *OTHERS], ids=str)
def test_under_profile(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(session, "profile", fail)
    asked = ProfileSettings(batch_sizes=(1,), lengths=(8,), devices=("cpu",))
    suite = Suite.model_validate({"name": "s", "models": ["quick/bert"], "methods": ["full"]})
    (model,) = untrained_models(suite)
    (row,) = session.ProfileSession(complete_settings(asked), ProfileStore(None)).rows(model)
    assert row.status is (Status.OOM if error in ERRORS else Status.ERROR)


@pytest.mark.parametrize("error", ERRORS, ids=str)
def test_in_the_log_of_a_process_that_died(error: Exception) -> None:
    assert out_of_memory(f"step 3 of 9\n{type(error).__name__}: {error}\n")


def test_a_message_for_people_is_none() -> None:
    assert not out_of_memory(UserError("the log says 'CUDA error: out of memory'"))
    assert not out_of_memory("terminated")


def test_an_error_that_cannot_be_printed_is_judged_by_its_kind() -> None:
    class MuteError(RuntimeError):
        def __str__(self) -> str:
            raise ValueError

    class MuteMemoryError(MemoryError, MuteError):
        pass

    assert out_of_memory(MuteMemoryError())
    assert not out_of_memory(MuteError())
