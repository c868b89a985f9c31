"""Train a method from its first step to its last: stages, checkpoints, selection."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import perf_counter  # bound here: code of a method that replaces it has no effect
from typing import TYPE_CHECKING, Any

from transformers import set_seed

from sparsebench.errors import StoppedError, UserError
from sparsebench.method import Stage
from sparsebench.results.records import Evaluation, LossPoint, TrainingRecord
from sparsebench.training.calibration import CalibrationData
from sparsebench.training.checkpoints import (
    last_checkpoint,
    load_notes,
    load_state,
    save_notes,
    save_state,
    step_of,
)
from sparsebench.training.distributed import ProcessGroup
from sparsebench.training.stage_callback import DivergedError, Span, StageCallback
from sparsebench.training.trainer import StageTrainer, stage_arguments

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from datasets import Dataset
    from torch import nn

    from sparsebench.method import Method
    from sparsebench.schema.training import Training


@dataclass(frozen=True)
class Selection:
    """Selection of the checkpoint to report.

    Attributes:
        evaluations: Number of evaluations, spread evenly over the budget; the last is at its end.
        score: Returns the headline score of a training view on the split to select on.
    """

    evaluations: int
    score: Callable[[nn.Module], float]


@dataclass
class _TrainingState:
    """The state of one training."""

    method: Method
    model: nn.Module
    training: Training
    features: Dataset
    collate: Callable[..., Any]
    total: int
    seed: int
    precision: str
    work: Path
    selection: Selection | None
    on_step: Callable[[int, float | None], None]
    on_stage: Callable[[], None]
    stop: Callable[[], bool]
    group: ProcessGroup
    calibration: int = 0
    calibration_steps: int = 0
    loss: list[LossPoint] = field(default_factory=list)
    evaluations: list[Evaluation] = field(default_factory=list)


def train(
    method: Method,
    model: nn.Module,
    *,
    training: Training,
    features: Dataset,
    collate: Callable[..., Any],
    seed: int,
    precision: str,
    work: Path,
    selection: Selection | None = None,
    on_step: Callable[[int, int, float | None], None] | None = None,
    on_stage: Callable[[], None] = lambda: None,
    stop: Callable[[], bool] = lambda: False,
    group: ProcessGroup | None = None,
) -> TrainingRecord:
    """Train a prepared model in place, or resume from the checkpoints in ``work``.

    Args:
        method: The method, its model prepared.
        model: The training view; afterwards it has the weights of the reported checkpoint.
        training: The settings of training.
        features: Encoded training examples with a ``length`` column.
        collate: Turns a list of features into a batch.
        seed: Seeds the order of examples and dropout.
        precision: ``fp32``, ``bf16`` or ``fp16``.
        work: The folder of checkpoints; training resumes from those it holds.
        selection: Selects the checkpoint to report; None for the last one.
        on_step: Called with the steps done, the total steps and the latest loss.
        on_stage: Called when the method has begun a stage.
        stop: Returns whether to save a checkpoint after the current step and stop.
        group: The processes that train together, each of which calls this function; None for a
            single process. Afterwards only the model of the main process counts.

    Returns:
        The record; its seconds count from the last resume.

    Raises:
        DivergedError: The loss is no longer finite.
        StoppedError: ``stop`` returned True.
        WeightsDifferError: The processes have trained different weights.
    """
    group = group or ProcessGroup()
    total = training.budget.steps(examples=len(features), batch_size=training.batch_size)
    report = on_step or (lambda *_: None)
    run = _TrainingState(
        method=method,
        model=model,
        training=training,
        features=features,
        collate=collate,
        total=total,
        seed=seed,
        precision=precision,
        work=work,
        selection=selection,
        on_step=lambda step, loss: report(step, total, loss),
        on_stage=on_stage,
        stop=stop,
        group=group,
    )
    began = perf_counter()
    with group.joined():
        steps = sum(_train_stage(run, index, stage, span) for index, (stage, span) in _spans(run))
    seconds = perf_counter() - began
    selected = _finish(run) if group.is_main else None
    return TrainingRecord(
        steps=total,
        seconds=seconds,
        examples_per_second=steps * training.batch_size / seconds,
        devices=group.size,
        loss=tuple(run.loss),
        evaluations=tuple(run.evaluations),
        selected_step=selected,
        calibration=run.calibration,
        calibration_steps=run.calibration_steps,
    )


def _spans(run: _TrainingState) -> Sequence[tuple[int, tuple[Stage, Span]]]:
    """Split the budget between the stages, exact to the step; every stage gets at least one."""
    returned: object = run.method.stages()
    if not isinstance(returned, Sequence) or not all(isinstance(s, Stage) for s in returned):
        raise UserError(f"the method's stages() returned {returned!r:.80}: return Stage objects")
    stages: list[Stage] = list(returned)
    shares = [stage.share for stage in stages]
    if not stages or min(shares) <= 0 or not math.isclose(sum(shares), 1):
        raise ValueError(f"the shares of a method's stages must be positive and sum to 1: {shares}")
    run.total = max(run.total, len(stages))
    ends = [round(run.total * sum(shares[: i + 1])) for i in range(len(stages))]
    starts = [0, *ends[:-1]]
    spans = [Span(a, max(1, b - a), run.total) for a, b in zip(starts, ends, strict=True)]
    return list(enumerate(zip(stages, spans, strict=True)))


def _train_stage(run: _TrainingState, index: int, stage: Stage, span: Span) -> int:
    """Train one stage, or load its end; return the number of steps that were trained now."""
    group = run.group
    span = _begin_stage(run, index, stage, span)
    end, notes = run.work / f"stage-{index}.safetensors", run.work / f"stage-{index}.json"
    if group.broadcast(notes.is_file() and end.is_file()):
        load_state(run.model, end)
        run.loss += [LossPoint.model_validate(point) for point in load_notes(notes)]
        return 0
    callback = _callback(run, span=span)
    trainer = _trainer(run, callback, index=index, stage=stage, span=span)
    if not group.is_main:
        set_seed(run.seed + index + group.rank)  # dropout differs between processes
    checkpoint = _checkpoint(run, run.work / f"stage-{index}")
    trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    if callback.stopped:
        raise StoppedError
    group.check_equal_weights(run.model)
    points = _loss_points(trainer.state.log_history, span)
    run.loss += points
    if run.training.checkpoint_every and group.is_main:
        save_state(run.model, end)
        save_notes([point.model_dump() for point in points], notes)
    return span.steps - (step_of(checkpoint) if checkpoint else 0)


def _begin_stage(run: _TrainingState, index: int, stage: Stage, span: Span) -> Span:
    """Let the method begin a stage; return the steps that are left to train."""
    training, seed = run.training, run.seed + index
    counted = training.calibration == "counted"
    data = CalibrationData(
        run.features,
        run.collate,
        device=next(run.model.parameters()).device,
        batch_size=training.batch_size,
        micro_batch=training.micro_batch(run.group.size),
        limit=span.steps - 1 if counted else None,
        seed=seed,
    )
    run.model.eval()
    set_seed(seed)  # a resumed run draws what it drew the first time, though it skipped a stage
    with run.group.shared_random_state(seed):
        run.method.begin_stage(run.model, stage, data)
    data.close()
    run.on_stage()
    run.calibration += data.examples
    run.calibration_steps += data.steps
    return Span(span.start + data.steps, span.steps - data.steps, run.total)


def _checkpoint(run: _TrainingState, folder: Path) -> Path | None:
    """Return the checkpoint to resume from, which the main process chooses."""
    found = last_checkpoint(folder) if run.group.is_main else None
    step = run.group.broadcast(step_of(found) if found else 0)
    return folder / f"checkpoint-{step}" if step else None


def _callback(run: _TrainingState, *, span: Span) -> StageCallback:
    last_stage = span.start + span.steps == run.total
    return StageCallback(
        method=run.method,
        span=span,
        on_step=run.on_step,
        on_evaluate=lambda step: _evaluate(run, step, last_stage=last_stage),
        evaluate_at=_evaluation_steps(run) - {run.total},
        stop=run.stop,
        group=run.group,
    )


def _trainer(
    run: _TrainingState, callback: StageCallback, *, index: int, stage: Stage, span: Span
) -> StageTrainer:
    return StageTrainer(
        method=run.method,
        stage=stage,
        group=run.group,
        model=run.model,
        args=stage_arguments(
            run.training,
            method=run.method,
            span=span,
            folder=run.work / f"stage-{index}",
            seed=run.seed + index,
            precision=run.precision,
            devices=run.group.size,
        ),
        data_collator=run.collate,
        label_smoothing=run.training.label_smoothing,
        train_dataset=run.features,
        callbacks=[callback],
    )


def _evaluation_steps(run: _TrainingState) -> frozenset[int]:
    if run.selection is None:
        return frozenset()
    count = min(run.selection.evaluations, run.total)
    return frozenset(round(run.total * (i + 1) / count) for i in range(count))


def _evaluate(run: _TrainingState, step: int, *, last_stage: bool) -> None:
    """Score the current view, and save it if it is the best eligible one so far."""
    assert run.selection is not None  # noqa: S101 - evaluations happen only under a selection
    record = run.work / "evaluations.json"
    run.evaluations = [Evaluation.model_validate(row) for row in load_notes(record) or []]
    earlier = [e.score for e in run.evaluations if e.eligible and e.step < step]
    score = run.selection.score(run.model)
    eligible = step == run.total or (last_stage and run.method.is_final(step / run.total))
    if eligible and score > max(earlier, default=float("-inf")):
        save_state(run.model, run.work / "best.safetensors")
    run.evaluations = [e for e in run.evaluations if e.step < step]
    run.evaluations.append(Evaluation(step=step, score=score, eligible=eligible))
    save_notes([e.model_dump() for e in run.evaluations], record)


def _finish(run: _TrainingState) -> int | None:
    """Complete the method's schedules, load the selected checkpoint and return its step."""
    if run.loss and not run.loss[-1].loss < float("inf"):
        raise DivergedError(f"the loss is {run.loss[-1].loss} at the last step")
    run.method.before_step(run.model, 1.0)
    if run.selection is None:
        return None
    _evaluate(run, run.total, last_stage=True)
    best = max((e for e in run.evaluations if e.eligible), key=lambda e: (e.score, -e.step))
    load_state(run.model, run.work / "best.safetensors")
    return best.step


def _loss_points(history: list[dict[str, Any]], span: Span) -> list[LossPoint]:
    return [
        LossPoint(
            step=span.start + row["step"], loss=row["loss"], learning_rate=row["learning_rate"]
        )
        for row in history
        if "loss" in row
    ]
