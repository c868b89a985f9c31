"""How the cores of a machine are shared out."""

from __future__ import annotations

import pytest

from sparsebench.executors import shares


@pytest.mark.parametrize(
    ("asked", "threads"), [(None, 4), ("", 4), ("2", 2), ("16", 4), ("0", 4), ("many", 4)]
)
def test_omp_num_threads_caps_the_threads(
    monkeypatch: pytest.MonkeyPatch, asked: str | None, threads: int
) -> None:
    monkeypatch.setattr(shares.sys, "platform", "other")
    monkeypatch.setattr(shares.os, "cpu_count", lambda: 4)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if asked is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", asked)
    assert shares.threads() == threads
