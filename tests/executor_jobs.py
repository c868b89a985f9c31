"""Jobs of a few steps for tests of executors, and methods that misbehave in every way."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from plugins import install

from sparsebench.execution.plan import plan
from sparsebench.method_registry import METHODS
from sparsebench.results.store import Store
from sparsebench.schema.limits import Limits
from sparsebench.suite import Suite
from sparsebench.tasks import DataSource

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    import pytest

    from sparsebench.execution.events import Event
    from sparsebench.execution.executors import Executor
    from sparsebench.execution.job import Job
    from sparsebench.results import RunResult

STEPS = 2

CULPRITS = """
import os, signal, sys, time
import torch
from sparsebench import Method

class Plain(Method):
    def prepare(self, backbone):
        return backbone.model

class Exits(Plain):
    def deploy(self, model):
        print("last words", flush=True)
        os._exit(7)

class Dies(Plain):
    def before_step(self, model, progress):
        os.kill(os.getpid(), signal.SIGKILL)

class Hoards(Plain):
    def before_step(self, model, progress):
        self.hoard = []
        while True:
            self.hoard.append(torch.ones(2**20))

class Crowds(Plain):
    def before_step(self, model, progress):
        hoard = []
        while True:
            hoard.append(bytearray(1000))

class Sleeps(Plain):
    def prepare(self, backbone):
        print("going to sleep", flush=True)
        time.sleep(3600)

class Deaf(Plain):
    def before_step(self, model, progress):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)

    def deploy(self, model):
        time.sleep(3600)

class Diverges(Plain):
    def penalty(self, model):
        return torch.tensor(float("nan"))

class NeedsRoom(Plain):
    def penalty(self, model):
        if not hasattr(self, "hooked"):
            self.hooked = True
            model.register_forward_pre_hook(check, with_kwargs=True)

def check(model, args, kwargs):
    if model.training and len(kwargs["input_ids"]) > 16:
        raise torch.OutOfMemoryError("tried to allocate 2 GiB")

class Fills(Plain):
    def deploy(self, model):
        if os.path.exists(os.path.join(os.path.dirname(__file__), "full")):
            raise OSError(28, "No space left on device")
        return model

class Lingers(Plain):
    def deploy(self, model):
        import threading
        threading.Thread(target=time.sleep, args=(3600,)).start()
        return model

class Cheats(Plain):
    # patches whatever evaluates and profiles, in the process that trains
    def deploy(self, model):
        from sparsebench.tasks import TASKS
        for name in TASKS:
            type(TASKS.get(name)).score = lambda *arguments, **named: {"matthews": 1.0}
        import sparsebench.execution.run as run
        run.profile = run.predict = None
        torch.nn.modules.module.register_module_forward_hook(lambda *arguments: 1 / 0)
        return model

class Wanders(Plain):
    def prepare(self, backbone):
        os.chdir("/")
        return backbone.model

HOOKS = ("refuses", "prepare", "stages", "begin_stage", "before_step", "penalty",
         "parameter_groups", "is_final", "deploy")

def broken(hook):
    def fail(self, *arguments, **named):
        raise RuntimeError(f"no {hook} today")
    return type(f"No_{hook}", (Plain,), {hook: fail})

globals().update({f"No_{hook}": broken(hook) for hook in HOOKS})
"""
"""A module of methods: all but the first fail."""

HOOKS = (
    "refuses",
    "prepare",
    "stages",
    "begin_stage",
    "before_step",
    "penalty",
    "parameter_groups",
    "deploy",
)
_NAMES = (
    *(
        "Plain",
        "Exits",
        "Dies",
        "Hoards",
        "Crowds",
        "Sleeps",
        "Deaf",
        "Diverges",
        "NeedsRoom",
        "Fills",
        "Lingers",
        "Cheats",
        "Wanders",
    ),
    *(f"No_{hook}" for hook in HOOKS),
)


def install_culprits(folder: Path) -> Path:
    """Lays out a package with the methods, each by its name in lower case; returns the folder."""
    points = {name.lower(): f"culprits:{name}" for name in _NAMES}
    install(folder, "culprits", group="sparsebench.methods", points=points, culprits=CULPRITS)
    return folder


def use_culprits(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes the methods known to this process and to those that it starts."""
    monkeypatch.syspath_prepend(str(install_culprits(folder)))
    monkeypatch.setenv("PYTHONPATH", str(folder))
    monkeypatch.delitem(METHODS.__dict__, "entries", raising=False)
    monkeypatch.setitem(METHODS.__dict__, "entries", METHODS.entries)


def make_jobs(
    root: Path,
    *methods: str,
    models: Sequence[str] = ("quick/bert",),
    seeds: Sequence[int] = (1,),
    steps: int = STEPS,
    checkpoint_every: int | None = None,
) -> list[Job]:
    """Plans runs of a few steps on a toy task."""
    content = {
        "name": "tiny",
        "tasks": ["toy-cola"],
        "models": list(models),
        "methods": list(methods),
        "seeds": list(seeds),
        "training": {
            "budget": f"{steps} steps",
            "max_length": 32,
            "checkpoint_every": checkpoint_every,
        },
        "costs": {"batch_size": 1, "length": 8, "target_length": 1, "seconds": 0.0},
    }
    cells = plan(Suite.model_validate(content), store=Store(root), data=DataSource())
    return [cell.job for cell in cells]


def limited(jobs: Sequence[Job], **limits: object) -> list[Job]:
    """Returns the jobs with limits."""
    return [replace(job, limits=Limits.model_validate(limits)) for job in jobs]


def make(executor: Executor, jobs: Sequence[Job]) -> list[Event]:
    """Makes the runs and returns what was told of them."""
    events: list[Event] = []
    executor.run(jobs, events.append)
    return events


def results(root: Path) -> dict[str, RunResult]:
    """Returns the results of a folder by the label of the method and the seed, if that is not 1."""
    return {
        r.spec.method.label + ("" if r.spec.seed == 1 else f"-{r.spec.seed}"): r
        for r in Store(root)
    }
