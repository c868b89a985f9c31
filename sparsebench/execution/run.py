"""One run from start to end: load, prepare, train, deploy; then load, evaluate, profile, record.

The two halves may run in two processes: ``train_model`` leaves the deployed folder and a record of
the training in the work folder of the run, and ``measure_model`` needs nothing else.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING, Any

from sparsebench import deployed
from sparsebench.execution.context import load_context
from sparsebench.execution.devices import resolve
from sparsebench.execution.failures import failure
from sparsebench.execution.job import Job, Outcome
from sparsebench.execution.shared_costs import share_costs
from sparsebench.execution.teacher_model import load_teacher
from sparsebench.method_registry import (
    METHODS,
    configure,
    deployed_model,
    prepared,
    refusal,
    remarks,
)
from sparsebench.profiling import MemoryTracker, ProfileOptions, TimingBudget, dummy_inputs, profile
from sparsebench.profiling.parameters import trainable_parameters
from sparsebench.results.base import Record
from sparsebench.results.costs import MemoryPeak
from sparsebench.results.provenance import provenance
from sparsebench.results.records import RunResult, Status, TrainingRecord
from sparsebench.results.store import Store
from sparsebench.schema.training import Protocol
from sparsebench.training.checkpoints import load_notes, save_notes
from sparsebench.training.distributed import ProcessGroup
from sparsebench.training.loop import Selection, train
from sparsebench.training.prediction import forward_batches, predict

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from datasets import Dataset
    from torch import nn

    from sparsebench.execution.context import RunContext
    from sparsebench.execution.events import Report
    from sparsebench.method import Method
    from sparsebench.results.costs import Costs
    from sparsebench.tasks import Prediction

DENSITY_EXAMPLES = 64
"""Examples to measure activation density on: the first ones of the first evaluation split."""


class TrainedModel(Record):
    """The record of a training whose deployed model is saved."""

    record: TrainingRecord
    trainable: int
    """Number of parameters that trained, without the head."""

    memory: MemoryPeak | None
    """The peak of memory in training."""

    remarks: tuple[str, ...] = ()
    """The method's remarks on the deployed model."""


def run(
    job: Job,
    report: Report,
    stop: Callable[[], bool] = lambda: False,
    group: ProcessGroup | None = None,
) -> Outcome | None:
    """Run a job in this process: ``train_model``, then ``measure_model``.

    Args:
        job: The run.
        report: Receives its events.
        stop: Returns whether to save a checkpoint after the current training step and stop.
        group: The processes that train together; None for a single one.

    Returns:
        The outcome; None in a process other than the main one.
    """
    group = group or ProcessGroup()
    failed = train_model(job, report, stop, group)
    return failed if failed or not group.is_main else measure_model(job, report)


def train_model(
    job: Job, report: Report, stop: Callable[[], bool], group: ProcessGroup
) -> Outcome | None:
    """Train and deploy the model of a run, unless that is done already.

    Returns:
        The outcome of a run that failed; None if the deployed model is in the work folder.

    Raises:
        UnwritableError: The disk is full or read-only.
        StoppedError: ``stop`` returned True.
    """
    try:
        if _trained_model(job) is None:
            _train(job, report, stop, group)
    except Exception as error:  # noqa: BLE001 - a plugin may raise anything
        return failure(job, error)
    return None


def measure_model(job: Job, report: Report) -> Outcome:
    """Evaluate and profile the deployed model in the work folder of a run.

    Raises:
        UnwritableError: The disk is full or read-only.
    """
    try:
        return _measure(job, report)
    except Exception as error:  # noqa: BLE001 - a plugin may raise anything
        return failure(job, error)


def _train(job: Job, report: Report, stop: Callable[[], bool], group: ProcessGroup) -> None:
    """Train a method on the backbone, and save the deployed model and the record."""
    memory = MemoryTracker(resolve("auto"))  # its peak counts from before the backbone is loaded
    context = load_context(job, report)
    backbone = context.backbone
    method = configure(job.spec.method.name, job.spec.method.settings)
    refusal(method, backbone.family, backbone.form)  # the plan ignores its errors
    context.report_phase("prepare")
    method.teacher = load_teacher(context)
    head = {id(backbone.model.get_parameter(name)) for name in context.head}
    model = prepared(method, backbone).to(context.device)
    trainable = [trainable_parameters(model, head)]
    examples, selection = _selection(context)
    with memory.track():
        record = train(
            method,
            model,
            training=job.training,
            features=context.encode(examples),
            collate=context.collator(),
            seed=job.spec.seed,
            precision=context.precision,
            work=_work_folder(job),
            selection=selection,
            on_step=lambda done, total, loss: context.report_phase("train", done, total, loss),
            on_stage=lambda: trainable.append(trainable_parameters(model, head)),
            stop=stop,
            group=group,
        )
    if not group.is_main:
        return
    _deploy(context, method, model)
    notes = TrainedModel(
        record=record, trainable=max(trainable), memory=memory.peak, remarks=remarks(method)
    )
    save_notes(notes.model_dump(mode="json"), _work_folder(job) / "trained.json")


def _selection(context: RunContext) -> tuple[Dataset, Selection | None]:
    """Return the examples to train on, and how the checkpoint is selected."""
    spec, data, task = context.job.spec, context.data, context.task
    if spec.held_out is None:
        return data.train, None
    if spec.protocol is Protocol.PAPER:
        kept, splits = data.train, dict(data.evaluation)
    else:
        share, seed = spec.held_out.share, spec.held_out.seed
        kept, held = task.hold_out(data.train, share=share, seed=seed)
        splits = {"held-out": held}

    def score(model: nn.Module) -> float:
        scores = {
            split: task.score(_predict(context, model, rows, phase="select"), task.references(rows))
            for split, rows in splits.items()
        }
        return task.headline(scores)

    return kept, Selection(spec.held_out.evaluations, score)


def _deploy(context: RunContext, method: Method, model: nn.Module) -> None:
    """Save the deployed model in the work folder."""
    context.report_phase("deploy")
    model.eval()
    folder = _deployed_folder(context.job)
    shutil.rmtree(folder, ignore_errors=True)
    deployed.save(
        deployed_model(method, model),
        folder,
        tokenizer=context.tokenizer,
        form=context.backbone.form,
        head=context.head,
    )


def _measure(job: Job, report: Report) -> Outcome:
    """Evaluate and profile the deployed model, beside the untouched backbone."""
    trained, folder = _trained_model(job), _deployed_folder(job)
    assert trained is not None  # noqa: S101 - train_model comes first
    context = load_context(job, report)
    task, model = context.task, deployed.load(folder, device=context.device)
    predictions, scores = _evaluate(context, model)
    result = RunResult(
        key=job.key,
        suite=job.suite,
        spec=job.spec,
        status=Status.OK,
        notes=(*job.notes, *trained.remarks, *_calibration_note(trained.record)),
        score=task.headline(scores),
        headline_metric=task.headline_metric,
        scores=scores,
        tuned=job.tuned,
        retried=job.retried,
        teacher=job.teacher.record if job.teacher else None,
        missing=task.missing_metrics(),
        training=trained.record,
        costs=_profile(context, model, trained),
        provenance=provenance(
            command=job.command,
            device=context.device,
            precision=context.precision,
            data_origin=context.data.origin,
            model_origin=job.model,
            method_package=METHODS.entries[job.spec.method.name].package,
        ),
    )
    return Outcome(result, predictions, keep={"deployed": folder} if job.keep_model else {})


def _calibration_note(record: TrainingRecord) -> tuple[str, ...]:
    """Return a note on the training examples that a method looked at, if it did."""
    if not record.calibration:
        return ()
    steps = record.calibration_steps
    cost = f"{steps} of {record.steps} steps" if steps else "free"
    return (f"looked at {record.calibration} training examples to decide by ({cost})",)


def _evaluate(
    context: RunContext, model: nn.Module
) -> tuple[list[dict[str, Any]], dict[str, dict[str, float]]]:
    """Return the predictions to store and the scores of every reported split."""
    rows: list[dict[str, Any]] = []
    scores: dict[str, dict[str, float]] = {}
    for split, examples in context.data.evaluation.items():
        predictions = _predict(context, model, examples, phase="evaluate")
        references = context.task.references(examples)
        scores[split] = context.task.score(predictions, references)
        rows += [
            {"split": split, "id": key, "prediction": prediction, "reference": reference}
            for key, prediction, reference in zip(
                examples["id"], predictions, references, strict=True
            )
        ]
    return rows, scores


def _predict(
    context: RunContext, model: nn.Module, examples: Dataset, *, phase: str
) -> list[Prediction]:
    """Return the predictions of a model for examples, in their order."""
    form, features = context.backbone.form, context.encode(examples, inputs_only=True)
    outputs = predict(
        model,
        features,
        tokenizer=context.tokenizer,
        form=form,
        max_answer_tokens=context.task.max_answer_tokens,
        generation=context.job.spec.generation,
        on_progress=lambda done, total: context.report_phase(phase, done, total),
    )
    return context.task.decode(outputs, form=form, examples=examples, features=features)


def _profile(context: RunContext, model: nn.Module, trained: TrainedModel) -> Costs:
    """Return the costs of the deployed model; an earlier run may have measured a part of them."""
    context.report_phase("profile")
    with share_costs(context.job, model, context.device) as share:
        timed = None if share.found is None else share.found.costs
        costs = _measure_costs(context, model, trained, timed)
        return share.recorded(costs, key=context.job.key)


def _measure_costs(
    context: RunContext, model: nn.Module, trained: TrainedModel, timed: Costs | None
) -> Costs:
    """Measure the costs of the deployed model, activation density on the first examples.

    Latency and the memory of the forward pass are those of ``timed``, if it is not None.
    """
    settings, form = context.job.costs, context.backbone.form
    reference = context.backbone.model.to(context.device).eval()
    split, examples = next(iter(context.data.evaluation.items()))
    few = examples.select(range(min(DENSITY_EXAMPLES, len(examples))))
    return profile(
        model,
        inputs=dummy_inputs(
            reference.config,
            batch_size=settings.batch_size,
            length=settings.length,
            target_length=settings.target_length,
            device=context.device,
        ),
        reference=reference,
        head=context.head,
        trainable=trained.trainable,
        folder=_deployed_folder(context.job),
        training=trained.memory,
        timing=TimingBudget(seconds=settings.seconds),
        options=ProfileOptions(
            runtimes={},
            timed=timed,
            activation_batches=forward_batches(
                model, context.encode(few), tokenizer=context.tokenizer, form=form
            ),
            activation_data=f"{len(few)} examples of {split}",
        ),
        on_phase=lambda part: context.report_phase(f"profile {part}"),
    )


def _trained_model(job: Job) -> TrainedModel | None:
    """Return the record of the training if its deployed model is saved, or None."""
    notes = load_notes(_work_folder(job) / "trained.json")
    if notes is None or not _deployed_folder(job).is_dir():
        return None
    return TrainedModel.model_validate(notes)


def _work_folder(job: Job) -> Path:
    return Store(job.store).work_folder(job.spec)


def _deployed_folder(job: Job) -> Path:
    return _work_folder(job) / "deployed"
