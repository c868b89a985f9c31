"""The whole story of a run on one page: load, prepare, train, deploy, evaluate, profile, record."""

from __future__ import annotations

import gc
import shutil
from typing import TYPE_CHECKING, Any

from transformers import set_seed

from sparsebench import deployed
from sparsebench.execution.context import RunContext
from sparsebench.execution.devices import resolve, training_precision
from sparsebench.execution.events import Progressed
from sparsebench.execution.failures import failure
from sparsebench.execution.job import Job, Outcome
from sparsebench.method_registry import METHODS, configure, prepared
from sparsebench.models import Backbone, load_backbone, model_source
from sparsebench.profiling import MemoryTracker, ProfileOptions, TimingBudget, dummy_inputs, profile
from sparsebench.results.base import Record
from sparsebench.results.costs import MemoryPeak
from sparsebench.results.provenance import provenance
from sparsebench.results.records import RunResult, Status, TrainingRecord
from sparsebench.results.store import Store
from sparsebench.schema.training import Protocol
from sparsebench.tasks import TASKS
from sparsebench.tasks.loading import load_data
from sparsebench.training import Selection, train
from sparsebench.training.checkpoints import load_notes, save_notes
from sparsebench.training.distributed import ProcessGroup
from sparsebench.training.prediction import collator_for, forward_batches, predict

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from datasets import Dataset
    from torch import nn

    from sparsebench.execution.events import Report
    from sparsebench.method import Method
    from sparsebench.results.costs import Costs
    from sparsebench.tasks import Prediction

DENSITY_EXAMPLES = 64
"""Examples that the density of activations is measured on: the first ones of the first split."""


class _Trained(Record):
    """What there is to tell of a training, once what ships is saved."""

    record: TrainingRecord
    trainable: int
    """Parameters that trained, the head apart."""

    memory: MemoryPeak | None


def run(
    job: Job,
    report: Report,
    stop: Callable[[], bool] = lambda: False,
    group: ProcessGroup | None = None,
) -> Outcome | None:
    """Makes one run; whatever goes wrong in it becomes a result with its reason.

    Args:
        job: The run to make.
        report: Is told how it goes.
        stop: Whether training is to stop after the step, and leave a checkpoint.
        group: The processes that train together, each of which calls this; None for this one alone.

    Returns:
        What came of it; None in a process that has trained along with the first, and not failed.

    Raises:
        UnwritableError: The disk is full or read-only.
        StoppedError: It was stopped.
    """
    try:
        return _run(job, report, stop, group or ProcessGroup())
    except Exception as error:  # noqa: BLE001 - a method may fail in any way, and it must show
        return failure(job, error)


def _run(job: Job, report: Report, stop: Callable[[], bool], group: ProcessGroup) -> Outcome | None:
    report(Progressed(job.key, "load"))
    set_seed(job.spec.seed)
    device = resolve("auto")
    memory = MemoryTracker(device)
    task, source = TASKS.get(job.spec.task), model_source(job.model)
    form, dropout = task.form_for(source.family), job.spec.training.dropout
    backbone = load_backbone(source, form=form, labels=task.labels, dropout=dropout)
    context = RunContext(
        job=job,
        report=report,
        device=device,
        precision=training_precision(job.spec.training.precision, device),
        task=task,
        form=form,
        head=backbone.head,
        data=load_data(job.spec.task, job.data),
        tokenizer=backbone.tokenizer,
        stop=stop,
        group=group,
    )
    work = Store(job.store).work_folder(job.spec)
    folder, notes = work / "deployed", work / "trained.json"
    if not (folder.is_dir() and notes.is_file()):  # else the run was cut off after its training
        method = configure(job.spec.method.name, job.spec.method.settings)
        method.refuses(source.family, form)  # where that raises, here is the row to tell of it
        model, trained = _train(context, method, backbone, work=work, memory=memory)
        if group.is_main:
            _deploy(method, model, folder, context=context)
            save_notes(trained.model_dump(mode="json"), notes)
        del model, method
    del backbone
    gc.collect()
    if not group.is_main:
        return None
    return _measure(context, folder, _Trained.model_validate(load_notes(notes)))


def _measure(context: RunContext, folder: Path, trained: _Trained) -> Outcome:
    """Evaluates and profiles what ships."""
    job, task = context.job, context.task
    shipped = deployed.load(folder, device=context.device)
    predictions, scores = _evaluate(context, shipped)
    context.say("profile")
    result = RunResult(
        key=job.key,
        suite=job.suite,
        spec=job.spec,
        status=Status.OK,
        score=task.headline(scores),
        headline_metric=task.headline_metric,
        scores=scores,
        tuned=job.tuned,
        retried=job.retried,
        missing=task.missing_metrics(),
        training=trained.record,
        costs=_profile(context, shipped, trained=trained, folder=folder),
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


def _train(
    context: RunContext, method: Method, backbone: Backbone, *, work: Path, memory: MemoryTracker
) -> tuple[nn.Module, _Trained]:
    """Trains; returns the training view and what there is to tell of it."""
    context.say("prepare")
    head = {id(backbone.model.get_parameter(name)) for name in context.head}
    model = prepared(method, backbone).to(context.device)
    trained = [p for p in model.parameters() if p.requires_grad]
    rows, selection = _selection(context)
    with memory.track():
        record = train(
            method,
            model,
            training=context.job.training,
            features=context.encode(rows),
            collate=collator_for(context.tokenizer, context.form),
            seed=context.job.spec.seed,
            precision=context.precision,
            work=work,
            selection=selection,
            on_step=lambda done, total, loss: context.say("train", done, total, loss),
            stop=context.stop,
            group=context.group,
        )
    trainable = sum(p.numel() for p in trained if id(p) not in head)
    return model, _Trained(record=record, trainable=trainable, memory=memory.peak)


def _selection(context: RunContext) -> tuple[Dataset, Selection | None]:
    """Returns what to train on, and how the checkpoint is selected."""
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
            split: task.score(_answers(context, model, rows, phase="select"), task.references(rows))
            for split, rows in splits.items()
        }
        return task.headline(scores)

    return kept, Selection(spec.held_out.evaluations, score)


def _deploy(method: Method, model: nn.Module, folder: Path, *, context: RunContext) -> None:
    """Saves what ships."""
    context.say("deploy")
    model.eval()
    shutil.rmtree(folder, ignore_errors=True)
    deployed.save(
        method.deploy(model),
        folder,
        tokenizer=context.tokenizer,
        form=context.form,
        head=context.head,
    )


def _answers(
    context: RunContext, model: nn.Module, examples: Dataset, *, phase: str = "evaluate"
) -> list[Prediction]:
    features = context.encode(examples, inputs_only=True)
    outputs = predict(
        model,
        features,
        tokenizer=context.tokenizer,
        form=context.form,
        max_answer_tokens=context.task.max_answer_tokens,
        generation=context.job.spec.generation,
        on_progress=lambda done, total: context.say(phase, done, total),
    )
    return context.task.decode(outputs, form=context.form, examples=examples, features=features)


def _evaluate(
    context: RunContext, model: nn.Module
) -> tuple[list[dict[str, Any]], dict[str, dict[str, float]]]:
    """Returns the stored predictions and the scores of every reported split."""
    rows: list[dict[str, Any]] = []
    scores: dict[str, dict[str, float]] = {}
    for split, examples in context.data.evaluation.items():
        answers = _answers(context, model, examples)
        references = context.task.references(examples)
        scores[split] = context.task.score(answers, references)
        rows += [
            {"split": split, "id": key, "prediction": answer, "reference": reference}
            for key, answer, reference in zip(examples["id"], answers, references, strict=True)
        ]
    return rows, scores


def _profile(context: RunContext, model: nn.Module, *, trained: _Trained, folder: Path) -> Costs:
    """Measures the deployed model beside the untouched backbone."""
    job, terms = context.job, context.job.costs
    source = model_source(job.model)
    reference = load_backbone(source, form=context.form, labels=context.task.labels).model
    inputs = dummy_inputs(
        reference.config,
        batch_size=terms.batch_size,
        length=terms.length,
        target_length=terms.target_length,
        device=context.device,
    )
    return profile(
        model,
        inputs=inputs,
        reference=reference.to(context.device).eval(),
        head=context.head,
        trainable=trained.trainable,
        folder=folder,
        training=trained.memory,
        timing=TimingBudget(seconds=terms.seconds),
        options=_options(context, model),
    )


def _options(context: RunContext, model: nn.Module) -> ProfileOptions:
    """Asks for the share of the promised speed-up and the density of activations on real input."""
    split, examples = next(iter(context.data.evaluation.items()))
    some = examples.select(range(min(DENSITY_EXAMPLES, len(examples))))
    batches = forward_batches(
        model, context.encode(some), tokenizer=context.tokenizer, form=context.form
    )
    return ProfileOptions(
        runtimes={}, activation_batches=batches, activation_data=f"{len(some)} examples of {split}"
    )
