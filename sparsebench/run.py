"""The whole story of a run on one page: load, prepare, train, deploy, evaluate, profile, record."""

from __future__ import annotations

import gc
import shutil
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from transformers import set_seed

from sparsebench import deployed
from sparsebench.errors import UserError
from sparsebench.evaluation import NonFiniteOutputError, collator_for, predict
from sparsebench.events import Progressed
from sparsebench.job import Job, Outcome
from sparsebench.methods import METHODS, configure
from sparsebench.models import Backbone, load_backbone, model_source
from sparsebench.profiling import TrainingMemory, dummy_inputs, profile
from sparsebench.provenance import provenance
from sparsebench.results.schema import RunResult, Status, TrainingRecord
from sparsebench.results.store import Store
from sparsebench.spec import Protocol
from sparsebench.tasks import TASKS, Form, Task, TaskData
from sparsebench.tasks.cache import encoded
from sparsebench.training import DivergedError, Selection, train

if TYPE_CHECKING:
    from pathlib import Path

    from datasets import Dataset
    from torch import nn

    from sparsebench.events import Report
    from sparsebench.method import Method
    from sparsebench.results.costs import Costs
    from sparsebench.tasks import Answer

TRACEBACK_LINES = 30


@dataclass
class _Setting:
    """What the steps of one run share."""

    job: Job
    report: Report
    device: torch.device
    precision: str
    task: Task
    form: Form
    data: TaskData
    tokenizer: Any

    def say(self, phase: str, done: int = 0, total: int = 0, loss: float | None = None) -> None:
        self.report(Progressed(self.job.key, phase, done, total, loss))

    def encode(self, examples: Dataset, split: str) -> Dataset:
        return encoded(
            self.task,
            examples,
            name=f"{self.job.spec.data_fingerprint}-{split}",
            tokenizer=self.tokenizer,
            form=self.form,
            max_length=self.job.spec.training.max_length,
        )


def run(job: Job, report: Report) -> Outcome:
    """Makes one run; whatever goes wrong in it becomes a result with its reason.

    Args:
        job: The run to make.
        report: Is told how it goes.
    """
    try:
        return _run(job, report)
    except (DivergedError, NonFiniteOutputError) as error:
        return _failure(job, Status.DIVERGED, str(error))
    except (torch.OutOfMemoryError, MemoryError) as error:
        return _failure(job, Status.OOM, str(error) or "out of memory")
    except UserError as error:
        return _failure(job, Status.ERROR, str(error))
    except Exception as error:  # noqa: BLE001 - a method may fail in any way, and it must show
        lines = traceback.format_exc().splitlines()[-TRACEBACK_LINES:]
        return _failure(job, Status.ERROR, f"{type(error).__name__}: {error}", "\n".join(lines))


def skip(job: Job, reason: str) -> Outcome:
    """Returns the row of a combination that is not tried."""
    return _failure(job, Status.SKIPPED, reason)


def _failure(job: Job, status: Status, reason: str, trace: str | None = None) -> Outcome:
    line = " ".join(reason.split()) or status.value
    return Outcome(
        RunResult(
            key=job.key,
            suite=job.suite,
            spec=job.spec,
            status=status,
            reason=line[:500],
            traceback=trace,
        )
    )


def _run(job: Job, report: Report) -> Outcome:
    spec = job.spec
    report(Progressed(job.key, "load"))
    set_seed(spec.seed)
    task, source = TASKS.get(spec.task), model_source(job.model)
    form = task.form_for(source.family)
    backbone = load_backbone(source, form=form, labels=task.labels)
    setting = _Setting(
        job=job,
        report=report,
        device=(device := torch.device("cuda" if torch.cuda.is_available() else "cpu")),
        precision=_precision(spec.training.precision, device),
        task=task,
        form=form,
        data=task.load(job.data),
        tokenizer=backbone.tokenizer,
    )
    method = configure(spec.method.name, spec.method.settings)
    work = Store(job.store).work_folder(spec)
    head = backbone.head

    model, trainable, record = _train(setting, method, backbone, work=work)
    folder = _deploy(method, model, work=work, setting=setting, head=head)
    del model, backbone
    gc.collect()

    shipped = deployed.load(folder, device=device)
    predictions, scores = _evaluate(setting, shipped)
    setting.say("profile")
    costs = _profile(setting, shipped, head=head, trainable=trainable, folder=folder)
    result = RunResult(
        key=job.key,
        suite=job.suite,
        spec=spec,
        status=Status.OK,
        score=task.headline(scores),
        headline_metric=task.headline_metric,
        scores=scores,
        training=record,
        costs=costs,
        provenance=provenance(
            command=job.command,
            device=device,
            precision=setting.precision,
            data_origin=setting.data.origin,
            model_origin=job.model,
            method_package=METHODS.entries[spec.method.name].package,
        ),
    )
    return Outcome(result, predictions, keep={"deployed": folder} if job.keep_model else {})


def _train(
    setting: _Setting, method: Method, backbone: Backbone, *, work: Path
) -> tuple[nn.Module, int, TrainingRecord]:
    """Trains; returns the training view, its trainable values (head apart) and the record."""
    spec = setting.job.spec
    head = {id(backbone.model.get_parameter(name)) for name in backbone.head}
    model = method.prepare(backbone).to(setting.device)
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad and id(p) not in head)
    training_rows, selection = _selection(setting)
    with TrainingMemory(setting.device) as memory:
        record = train(
            method,
            model,
            training=spec.training,
            features=setting.encode(*training_rows),
            collate=collator_for(setting.tokenizer, setting.form),
            seed=spec.seed,
            precision=setting.precision,
            work=work,
            selection=selection,
            on_step=lambda done, total, loss: setting.say("train", done, total, loss),
        )
    return model, trainable, record.model_copy(update={"peak_memory_bytes": memory.peak})


def _selection(setting: _Setting) -> tuple[tuple[Dataset, str], Selection | None]:
    """Returns what to train on, and how the checkpoint is selected."""
    spec, data, task = setting.job.spec, setting.data, setting.task
    if spec.held_out is None:
        return (data.train, "train"), None
    if spec.protocol is Protocol.PAPER:
        train_rows, splits = (data.train, "train"), dict(data.evaluation)
    else:
        share, seed = spec.held_out.share, spec.held_out.seed
        kept, held_out = task.hold_out(data.train, share=share, seed=seed)
        train_rows = (kept, f"train-without-{share:g}-{seed}")
        splits = {f"held-out-{share:g}-{seed}": held_out}
    features = {split: setting.encode(rows, split) for split, rows in splits.items()}

    def score(model: nn.Module) -> float:
        return task.headline(
            {
                split: task.score(_answers(setting, model, features[split]), task.references(rows))
                for split, rows in splits.items()
            }
        )

    return train_rows, Selection(spec.held_out.evaluations, score)


def _deploy(
    method: Method, model: nn.Module, *, work: Path, setting: _Setting, head: frozenset[str]
) -> Path:
    """Saves what ships, and returns its folder."""
    model.eval()
    folder = work / "deployed"
    shutil.rmtree(folder, ignore_errors=True)
    deployed.save(
        method.deploy(model), folder, tokenizer=setting.tokenizer, form=setting.form, head=head
    )
    return folder


def _answers(setting: _Setting, model: nn.Module, features: Dataset) -> list[Answer]:
    outputs = predict(
        model,
        features,
        tokenizer=setting.tokenizer,
        form=setting.form,
        max_answer_tokens=setting.task.max_answer_tokens,
        on_progress=lambda done, total: setting.say("evaluate", done, total),
    )
    return setting.task.decode(outputs, form=setting.form)


def _evaluate(
    setting: _Setting, model: nn.Module
) -> tuple[list[dict[str, Any]], dict[str, dict[str, float]]]:
    """Returns the stored predictions and the scores of every reported split."""
    rows: list[dict[str, Any]] = []
    scores: dict[str, dict[str, float]] = {}
    for split, examples in setting.data.evaluation.items():
        answers = _answers(setting, model, setting.encode(examples, split))
        references = setting.task.references(examples)
        scores[split] = setting.task.score(answers, references)
        rows += [
            {"split": split, "id": key, "prediction": answer, "reference": reference}
            for key, answer, reference in zip(examples["id"], answers, references, strict=True)
        ]
    return rows, scores


def _profile(
    setting: _Setting, model: nn.Module, *, head: frozenset[str], trainable: int, folder: Path
) -> Costs:
    """Measures the deployed model beside the untouched backbone."""
    job = setting.job
    source = model_source(job.model)
    reference = load_backbone(source, form=setting.form, labels=setting.task.labels).model
    return profile(
        model,
        reference=reference.to(setting.device).eval(),
        inputs=lambda batch_size: dummy_inputs(
            reference.config,
            batch_size=batch_size,
            length=job.costs.length,
            target_length=job.costs.target_length,
            device=setting.device,
        ),
        batch_size=job.costs.batch_size,
        seconds=job.costs.seconds,
        head=head,
        trainable=trainable,
        folder=folder,
    )


def _precision(asked: str, device: torch.device) -> str:
    if asked != "auto":
        return asked
    return "bf16" if device.type == "cuda" and torch.cuda.is_bf16_supported() else "fp32"
