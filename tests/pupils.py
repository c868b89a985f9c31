"""Suites of methods that learn from a teacher, for tests of plans and executors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from plugins import install

from sparsebench.execution.plan import RerunPolicy, plan
from sparsebench.method_registry import METHODS
from sparsebench.results.store import Store
from sparsebench.suite import Suite
from sparsebench.tasks import DataSource

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    import pytest

    from sparsebench.execution.plan import PlannedRun

PUPIL = """
from pydantic import Field
import torch
from sparsebench import Method, MethodConfig

class Config(MethodConfig):
    teacher: str = Field(default="full")
    '''The teacher.'''

class Pupil(Method):
    '''Pulls its weights towards those of its teacher.'''
    Config = Config

    def prepare(self, backbone):
        assert not any(p.requires_grad for p in self.teacher.parameters())
        assert not self.teacher.training
        return backbone.model

    def penalty(self, model):
        pairs = zip(model.parameters(), self.teacher.parameters())
        return sum(torch.nn.functional.mse_loss(own, given) for own, given in pairs)

class Dunce(Method):
    '''Fails.'''

    def prepare(self, backbone):
        raise RuntimeError("no memory for names")

class Shy(Dunce):
    '''Refuses.'''

    def refuses(self, family, form):
        return "it is shy"
"""


def install_pupils(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes ``pupil``, ``dunce`` and ``shy`` known to this process and to those it starts."""
    points = {name.lower(): f"pupils_plugin:{name}" for name in ("Pupil", "Dunce", "Shy")}
    install(folder, "pupils", group="sparsebench.methods", points=points, pupils_plugin=PUPIL)
    monkeypatch.syspath_prepend(str(folder))
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.delitem(METHODS.__dict__, "entries", raising=False)
    monkeypatch.setitem(METHODS.__dict__, "entries", METHODS.entries)


def plan_pupils(
    root: Path,
    methods: Mapping[str, Mapping[str, Any]],
    *,
    steps: int = 2,
    seeds: tuple[int, ...] = (1,),
    checkpoint_every: int | None = None,
    rerun: RerunPolicy | None = None,
) -> list[PlannedRun]:
    """Plans runs of a few steps of these rows on a toy task."""
    content = {
        "name": "tiny",
        "tasks": ["toy-cola"],
        "models": ["quick/bert"],
        "methods": methods,
        "seeds": list(seeds),
        "training": {
            "budget": f"{steps} steps",
            "max_length": 32,
            "precision": "fp32",
            "checkpoint_every": checkpoint_every,
        },
        "costs": {"batch_size": 1, "length": 8, "target_length": 1, "seconds": 0.0},
    }
    suite = Suite.model_validate(content)
    return plan(suite, store=Store(root), data=DataSource(), rerun=rerun)


def labels(planned: list[PlannedRun]) -> dict[str, str]:
    """Returns the state of each run by the label of its row, in the order of the plan."""
    return {run.job.spec.method.label: run.state.value for run in planned}
