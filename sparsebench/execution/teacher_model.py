"""Loading the teacher of a run, and freezing it."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from sparsebench import deployed
from sparsebench.errors import UserError
from sparsebench.models import Form
from sparsebench.models.backbone import load_weights
from sparsebench.models.checks import check_files
from sparsebench.suite.teachers import teacher_fingerprint, teacher_source

if TYPE_CHECKING:
    from pathlib import Path

    import torch
    from torch import nn

    from sparsebench.execution.context import RunContext
    from sparsebench.models import Backbone, ModelSource

_SHOWN = 3
_TYPES = {"bf16": "bfloat16", "fp16": "float16"}


def load_teacher(context: RunContext) -> nn.Module | None:
    """Load the teacher of a run, frozen, on its device; None if it has none.

    No random number is drawn.

    Raises:
        UserError: It cannot be loaded, was trained for another task, or reads other tokens.
    """
    import torch

    job = context.job
    if job.teacher is None or job.spec.teacher is None:
        return None
    source = teacher_source(job.teacher.source)
    if not job.spec.teacher.row and teacher_fingerprint(source) != job.spec.teacher.fingerprint:
        raise UserError(
            f"the teacher {job.spec.teacher.name} has changed since the run was planned; leave its "
            "files alone and run the same command again"
        )
    with torch.random.fork_rng(devices=[]):
        model = _load(source, context.backbone, labels=tuple(context.task.labels))
    return frozen(model, device=context.device, precision=context.precision)


def _load(source: ModelSource, backbone: Backbone, *, labels: tuple[str, ...]) -> nn.Module:
    """Load a trained model that reads what the backbone reads, and returns the same logits."""
    folder, name = source.folder(), f"the teacher {source.spec!r}"
    if folder is None:
        raise UserError(f"{name} has random weights: name a trained model")
    form = backbone.form
    if (folder / deployed.RECORD_FILE).is_file():
        if (found := deployed.read_record(folder).form) is not form:
            raise UserError(f"{name} was trained for {found}, and the task needs {form}")
        model = deployed.load(folder)
    else:
        model = _load_plain(source, folder, form=form)
    if form is Form.CLASSIFICATION:
        _check_classes(model, labels, name=name)
    _check_tokens(folder, backbone, name=name)
    return model


def _load_plain(source: ModelSource, folder: Path, *, form: Form) -> nn.Module:
    check_files(folder, spec=source.spec)
    try:
        model, report = load_weights(folder, form=form)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise UserError(f"the teacher {source.spec!r} does not load: {error}") from error
    if missing := sorted(report["missing_keys"]):
        raise UserError(
            f"the teacher {source.spec!r} was not trained for {form}: its files have no "
            f"{', '.join(missing[:_SHOWN])}"
        )
    loaded: nn.Module = model
    return loaded


def _check_classes(model: Any, labels: tuple[str, ...], *, name: str) -> None:
    """Refuse a teacher with other classes, or the same ones in another order."""
    config = model.config
    if config.num_labels != len(labels):
        raise UserError(f"{name} has {config.num_labels} classes, and the task {len(labels)}")
    found = [str(config.id2label[number]) for number in range(config.num_labels)]
    lower, wanted = [text.lower() for text in found], [text.lower() for text in labels]
    if lower != wanted and sorted(lower) == sorted(wanted):
        raise UserError(
            f"{name} has its classes in the order {', '.join(found)}, and the task in the order "
            f"{', '.join(labels)}: reorder the rows of its classifier"
        )


def _check_tokens(folder: Path, backbone: Backbone, *, name: str) -> None:
    """Refuse a teacher whose tokenizer gives other numbers to the same tokens."""
    from transformers import AutoTokenizer

    try:
        tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"{name}: its tokenizer does not load: {error}") from error
    own: Any = backbone.tokenizer
    if tokenizer.get_vocab() != own.get_vocab():
        raise UserError(f"{name} has another tokenizer than the backbone: it must read its tokens")


def frozen(model: nn.Module, *, device: torch.device, precision: str = "fp32") -> nn.Module:
    """Return a model as a teacher: frozen, in evaluation mode, called without gradients.

    Args:
        model: A trained model; it is changed in place.
        device: The device of the run.
        precision: The precision of the run: ``fp32``, ``bf16`` or ``fp16``, by autocast.
    """
    import torch
    from accelerate.utils import convert_outputs_to_fp32

    model.to(device).eval().requires_grad_(requires_grad=False)
    forward = torch.no_grad()(model.forward)
    if precision in _TYPES:
        kind = getattr(torch, _TYPES[precision])
        forward = convert_outputs_to_fp32(torch.autocast(device.type, dtype=kind)(forward))
    vars(model)["forward"] = forward
    return model


def stand_in(backbone: Backbone, *, device: str = "cpu") -> nn.Module:
    """Return a copy of an untouched backbone as the teacher of an untrained model.

    A model on the meta device, which has no values, stays there.
    """
    import torch

    model = copy.deepcopy(backbone.model)
    here = next(model.parameters()).device
    return frozen(model, device=here if here.type == "meta" else torch.device(device))
