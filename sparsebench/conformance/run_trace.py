"""One life of a method on a tiny backbone, through the harness's own loop, from start to file."""

from __future__ import annotations

import copy
import gc
import tempfile
import warnings
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import IntEnum
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from sparsebench import deployed
from sparsebench.conformance.backbones import (
    tiny_backbone,
    tiny_batch,
    tiny_collate,
    tiny_features,
)
from sparsebench.conformance.process_state import kept, random_states
from sparsebench.conformance.recorder import Watched
from sparsebench.schema.training import Budget, Training
from sparsebench.sparsity import Masked, attached
from sparsebench.training import Selection, train

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor, nn

    from sparsebench.method import Method
    from sparsebench.models import Backbone, Form
    from sparsebench.results.records import TrainingRecord

    Call = Callable[["RunState"], None]

STEPS = 8
Outputs = tuple["Tensor", ...]
"""The logits for one batch, in evaluation mode; of a span, those of start and end."""


class Phase(IntEnum):
    """How far a life has come."""

    PREPARE = 1
    TRAIN = 2
    DEPLOY = 3
    SAVE = 4
    LOAD = 5


@dataclass(frozen=True)
class Terms:
    """What is special about a life; two with the same seed must come to the same end.

    Attributes:
        last: The phase that it ends with.
        seed: Seeds the run.
        steps: Its budget.
        precision: As in a suite.
        cut_at: The step after which the run is killed, and gone on with from its checkpoint.
        earliest: Whether the earliest checkpoint that may be selected ships, and not the last.
    """

    last: Phase = Phase.DEPLOY
    seed: int = 1
    steps: int = STEPS
    precision: str = "fp32"
    cut_at: int | None = None
    earliest: bool = False


PLAIN = Terms(last=Phase.LOAD)
"""The life that most checks look at."""


@dataclass
class RunTrace:
    """All that was seen of a method in one life; what comes after a failure is missing.

    Attributes:
        failure: The phase that failed, and why.
        backbone: What it began with; its model is what the method has made of it.
        watched: The method.
        pretrained: What the pretrained model answers.
        prepared: What the training view answers before training.
        trained: What it answers after training.
        shipped: What the deployed model answers.
        loaded: What it answers once it was saved and loaded.
        record: The record of the training.
        leaks: Weights that are not zero in the deployed model though a mask pruned them.
        model: The deployed model.
        reloaded: The deployed model, saved and loaded.
        random: The state of the random generators after prepare, and at the end.
    """

    failure: tuple[Phase, BaseException] | None = None
    backbone: Backbone = field(init=False)
    watched: Watched = field(init=False)
    pretrained: Outputs = ()
    prepared: Outputs = ()
    trained: Outputs = ()
    shipped: Outputs = ()
    loaded: Outputs = ()
    record: TrainingRecord = field(init=False)
    leaks: int = 0
    model: nn.Module = field(init=False)
    reloaded: nn.Module = field(init=False)
    random: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class RunState:
    """What the phases of a life hand on to each other."""

    life: RunTrace
    method: Callable[[], Method]
    kind: str
    form: Form
    terms: Terms
    work: Path
    device: torch.device
    view: Any = None

    @property
    def batch(self) -> dict[str, Tensor]:
        """A tiny batch on the device of the run."""
        batch = tiny_batch(self.life.backbone)
        return {name: value.to(self.device) for name, value in batch.items()}


def live(method: Callable[[], Method], kind: str, *, form: Form, terms: Terms) -> RunTrace:
    """Takes a method through one life; what goes wrong is in its ``failure``.

    Args:
        method: Returns a new instance of the method.
        kind: The kind of backbone, one of ``backbones.KINDS``.
        form: How the backbone answers.
        terms: What is special about it.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    life = RunTrace()
    phases: dict[Phase, Call] = {
        Phase.PREPARE: _prepare,
        Phase.TRAIN: _train,
        Phase.DEPLOY: _deploy,
        Phase.SAVE: _save,
        Phase.LOAD: _load,
    }
    with tempfile.TemporaryDirectory() as folder, _quiet(), kept():
        if device.type == "cuda":
            torch.use_deterministic_algorithms(mode=True, warn_only=True)
        scene = RunState(life, method, kind, form, terms, Path(folder), device)
        for phase, act in phases.items():
            if phase > terms.last:
                break
            try:
                act(scene)
            except Exception as error:  # noqa: BLE001 - a method may fail in any way
                life.failure = (phase, error)
                break
        life.random.append(random_states())
    return life


@cache
def _backbone(kind: str, form: Form) -> Backbone:
    return tiny_backbone(kind, form=form)


def _prepare(scene: RunState) -> None:
    from transformers import set_seed

    life = scene.life
    life.backbone = copy.deepcopy(_backbone(scene.kind, scene.form))
    life.pretrained = _outputs(life.backbone.model.to(scene.device), scene)
    life.backbone.model.to("cpu")
    set_seed(scene.terms.seed)
    life.watched = Watched(scene.method())
    scene.view = life.watched.prepare(life.backbone).to(scene.device)
    life.random.append(random_states())
    life.prepared = _outputs(scene.view, scene)


def _train(scene: RunState) -> None:
    life, terms = scene.life, scene.terms
    if terms.cut_at is not None:
        _train_until_cut(scene)
        _prepare(scene)
    life.record = _run(scene)
    life.watched.end_stage()
    life.trained = _outputs(scene.view, scene)


class _CutError(Exception):
    """The run is killed here, on purpose."""


def _train_until_cut(scene: RunState) -> None:
    def cut(done: int) -> None:
        if done == scene.terms.cut_at:
            raise _CutError

    try:
        _run(scene, cut)
    except _CutError:
        return
    raise RuntimeError(f"the run has not come to step {scene.terms.cut_at}")


def _run(scene: RunState, on_step: Callable[[int], None] = lambda _: None) -> TrainingRecord:
    terms, watched = scene.terms, scene.life.watched
    countdown = iter(range(terms.steps, -1, -1))

    def after_step(done: int, *_: object) -> None:
        watched.after_step()
        on_step(done)

    return train(
        watched,
        scene.view,
        training=Training(
            budget=Budget(amount=terms.steps, unit="steps"),
            batch_size=6,
            warmup=0.0,
            checkpoint_every=1 if terms.cut_at else None,
        ),
        features=tiny_features(scene.form),
        collate=tiny_collate,
        seed=terms.seed,
        precision=terms.precision,
        work=scene.work,
        selection=Selection(terms.steps, lambda _: next(countdown)) if terms.earliest else None,
        on_step=after_step,
    )


def _deploy(scene: RunState) -> None:
    life = scene.life
    scene.view.eval()
    masks = [(weight, change.mask.clone()) for weight, change in attached(scene.view, Masked)]
    life.model = life.watched.deploy(scene.view)
    if not scene.terms.earliest:  # an early checkpoint may need its masks chosen again
        shipped = {parameter.data_ptr() for parameter in life.model.parameters()}
        left = [(w, mask) for w, mask in masks if w.untyped_storage().data_ptr() in shipped]
        life.leaks = sum(int(weight[~mask].count_nonzero()) for weight, mask in left)
    life.shipped = _outputs(life.model, scene)


def _save(scene: RunState) -> None:
    head = scene.life.backbone.head
    deployed.save(scene.life.model, scene.work / "deployed", form=scene.form, head=head)


def _load(scene: RunState) -> None:
    life = scene.life
    life.reloaded = deployed.load(scene.work / "deployed", device=scene.device)
    life.loaded = _outputs(life.reloaded, scene)


def _outputs(model: nn.Module, scene: RunState) -> Outputs:
    training = model.training
    with torch.no_grad():
        answered = model.eval()(**scene.batch)
    model.train(training)
    names = [name for name in ("logits", "start_logits", "end_logits") if name in answered]
    return tuple(answered[name].float().cpu() for name in names)


@contextmanager
def _quiet() -> Iterator[None]:
    """Hides warnings, and spares the Trainer's garbage collection what was there before."""
    from transformers.utils import logging

    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()
    gc.freeze()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        gc.unfreeze()
        logging.set_verbosity(verbosity)
