"""One traced run of a method on a tiny backbone: prepare, train, deploy, save, load."""

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
from sparsebench.conformance.recorder import Recorder
from sparsebench.execution.teacher_model import frozen
from sparsebench.schema.training import Budget, Training
from sparsebench.sparsity import Masked, attached
from sparsebench.training.loop import Selection, train

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor, nn

    from sparsebench.method import Method
    from sparsebench.models import Backbone, Form
    from sparsebench.results.records import TrainingRecord

    Call = Callable[["RunState"], None]

STEPS = 8
TEACHER_SEED = 7
Outputs = tuple["Tensor", ...]
"""The logits for one batch, in evaluation mode; for spans, those of start and end."""


class Phase(IntEnum):
    """The phases of a run, in order."""

    PREPARE = 1
    TRAIN = 2
    DEPLOY = 3
    SAVE = 4
    LOAD = 5


@dataclass(frozen=True)
class RunOptions:
    """The options of a run; two runs with the same seed must deploy the same model.

    Attributes:
        last: The phase to end with.
        seed: The seed of the run.
        steps: Its budget, in optimizer steps.
        precision: The precision, as in a suite.
        cut_at: The step after which the run is killed and resumed from its checkpoint.
        earliest: Whether to deploy the earliest selectable checkpoint instead of the last one.
    """

    last: Phase = Phase.DEPLOY
    seed: int = 1
    steps: int = STEPS
    precision: str = "fp32"
    cut_at: int | None = None
    earliest: bool = False


PLAIN = RunOptions(last=Phase.LOAD)
"""The run that most checks look at."""


@dataclass
class RunTrace:
    """The record of one run; what follows a failure is missing.

    Attributes:
        failure: The phase that failed, and the error.
        backbone: The backbone; the method has changed its model.
        recorder: The method, with what was recorded of it.
        teacher: The model that it learned from; None for a method without a teacher.
        pretrained: Logits of the pretrained model.
        prepared: Logits of the training view before training.
        trained: Logits of the training view after training.
        deployed: Logits of the deployed model.
        loaded: Logits of the deployed model, saved and loaded.
        record: The record of the training.
        changed_by_evaluation: The names of parameters and buffers that a forward pass in evaluation
            mode changed.
        leaks: How many masked weights are not zero in the deployed model.
        model: The deployed model.
        reloaded: The deployed model, saved and loaded.
        random: The state of the random generators after prepare, and at the end.
    """

    failure: tuple[Phase, BaseException] | None = None
    backbone: Backbone = field(init=False)
    recorder: Recorder = field(init=False)
    teacher: nn.Module | None = None
    pretrained: Outputs = ()
    prepared: Outputs = ()
    trained: Outputs = ()
    deployed: Outputs = ()
    loaded: Outputs = ()
    record: TrainingRecord = field(init=False)
    changed_by_evaluation: frozenset[str] = frozenset()
    leaks: int = 0
    model: nn.Module = field(init=False)
    reloaded: nn.Module = field(init=False)
    random: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class RunState:
    """The state that the phases of a run share.

    Attributes:
        trace: The record of the run.
        method: Returns a new instance of the method.
        kind: The kind of backbone, one of ``backbones.KINDS``.
        form: The form of the backbone.
        options: The options of the run.
        work: A folder for its files.
        device: Its device.
        view: The training view, once prepared.
    """

    trace: RunTrace
    method: Callable[[], Method]
    kind: str
    form: Form
    options: RunOptions
    work: Path
    device: torch.device
    view: Any = None

    @property
    def batch(self) -> dict[str, Tensor]:
        """A tiny batch on the device of the run."""
        batch = tiny_batch(self.trace.backbone)
        return {name: value.to(self.device) for name, value in batch.items()}


def trace_run(
    method: Callable[[], Method], kind: str, *, form: Form, options: RunOptions
) -> RunTrace:
    """Run a method through the phases; an error is recorded as the ``failure`` of the trace.

    Args:
        method: Returns a new instance of the method.
        kind: The kind of backbone, one of ``backbones.KINDS``.
        form: The form of the backbone.
        options: The options of the run.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    trace = RunTrace()
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
        state = RunState(trace, method, kind, form, options, Path(folder), device)
        for phase, act in phases.items():
            if phase > options.last:
                break
            try:
                act(state)
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # noqa: BLE001 - a method may fail in any way, also by exit
                trace.failure = (phase, error)
                break
        trace.random.append(random_states())
    return trace


@cache
def _backbone(kind: str, form: Form) -> Backbone:
    return tiny_backbone(kind, form=form)


def _prepare(state: RunState) -> None:
    from transformers import set_seed

    trace = state.trace
    trace.backbone = copy.deepcopy(_backbone(state.kind, state.form))
    trace.pretrained = _outputs(trace.backbone.model.to(state.device), state)
    trace.backbone.model.to("cpu")
    method = state.method()
    if method.teacher_name is not None:
        method.teacher = trace.teacher = _teacher(state)
    set_seed(state.options.seed)
    trace.recorder = Recorder(method)
    state.view = trace.recorder.prepare(trace.backbone).to(state.device)
    trace.random.append(random_states())
    trace.prepared = _outputs(state.view, state)


def _teacher(state: RunState) -> nn.Module:
    """Return a model of the same shapes with other weights, as the harness loads a teacher."""
    model = tiny_backbone(state.kind, form=state.form, seed=TEACHER_SEED).model
    return frozen(model, device=state.device, precision=state.options.precision)


def _train(state: RunState) -> None:
    trace, options = state.trace, state.options
    if options.cut_at is not None:
        _train_until_cut(state)
        _prepare(state)
    trace.record = _run(state)
    trace.recorder.end_stage()
    before = _copy_of_state(state.view)
    trace.trained = _outputs(state.view, state)
    after = state.view.state_dict()
    trace.changed_by_evaluation = frozenset(
        name for name, value in before.items() if not torch.equal(value, after[name])
    )


def _copy_of_state(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


class _CutError(Exception):
    """Ends a run on purpose, as a kill would."""


def _train_until_cut(state: RunState) -> None:
    def cut(done: int) -> None:
        if done == state.options.cut_at:
            raise _CutError

    try:
        _run(state, cut)
    except _CutError:
        return
    raise RuntimeError(f"the run has not reached step {state.options.cut_at}")


def _run(state: RunState, on_step: Callable[[int], None] = lambda _: None) -> TrainingRecord:
    options, recorder = state.options, state.trace.recorder
    countdown = iter(range(options.steps, -1, -1))

    def after_step(done: int, *_: object) -> None:
        recorder.after_step()
        on_step(done)

    return train(
        recorder,
        state.view,
        training=Training(
            budget=Budget(amount=options.steps, unit="steps"),
            batch_size=6,
            warmup=0.0,
            calibration="free",  # a method may look at more examples than so few steps have
            checkpoint_every=1 if options.cut_at else None,
        ),
        features=tiny_features(state.form),
        collate=tiny_collate,
        seed=options.seed,
        precision=options.precision,
        work=state.work,
        selection=Selection(options.steps, lambda _: next(countdown)) if options.earliest else None,
        on_step=after_step,
    )


def _deploy(state: RunState) -> None:
    trace = state.trace
    state.view.eval()
    masks = [(weight, change.mask.clone()) for weight, change in attached(state.view, Masked)]
    trace.model = trace.recorder.deploy(state.view)
    if not state.options.earliest:  # an early checkpoint may need its masks chosen again
        parameters = {parameter.data_ptr() for parameter in trace.model.parameters()}
        left = [(w, mask) for w, mask in masks if w.untyped_storage().data_ptr() in parameters]
        trace.leaks = sum(int(weight[~mask].count_nonzero()) for weight, mask in left)
    trace.deployed = _outputs(trace.model, state)


def _save(state: RunState) -> None:
    head = state.trace.backbone.head
    deployed.save(state.trace.model, state.work / "deployed", form=state.form, head=head)


def _load(state: RunState) -> None:
    trace = state.trace
    trace.reloaded = deployed.load(state.work / "deployed", device=state.device)
    trace.loaded = _outputs(trace.reloaded, state)


def _outputs(model: nn.Module, state: RunState) -> Outputs:
    training = model.training
    with torch.no_grad():
        outputs = model.eval()(**state.batch)
    model.train(training)
    names = [name for name in ("logits", "start_logits", "end_logits") if name in outputs]
    return tuple(outputs[name].float().cpu() for name in names)


@contextmanager
def _quiet() -> Iterator[None]:
    """Hide warnings, and exclude existing objects from the Trainer's garbage collections."""
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
