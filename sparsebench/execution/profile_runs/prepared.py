"""Prepare a model for profiling: save what is deployed, load it back, and load its backbone.

A method on an untrained backbone is taken to its final form: masks and removals as at the end of a
run, on untrained weights. What trains is first moved by a small random step, which stands for
training: without it, scores that start at zero would be ties, and updates that start at zero would
leave zeros that training fills.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import torch

from sparsebench import deployed
from sparsebench.errors import UserError
from sparsebench.execution.profile_runs.profiled_models import (
    LABELS,
    DeployedModel,
    ProfiledModel,
    UntrainedModel,
)
from sparsebench.execution.teacher_model import stand_in
from sparsebench.method_registry import configure, deployed_model, prepared, remarks
from sparsebench.models import Backbone, Form, empty_backbone, load_backbone
from sparsebench.profiling import DummyData
from sparsebench.profiling.parameters import count_storage, trainable_parameters
from sparsebench.sparsity.encoding import bit_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from torch import Tensor, nn

    from sparsebench.method import Method
    from sparsebench.models import ModelSource
    from sparsebench.results.costs import MemoryPeak, Storage

SEED = 0
"""Seeds the weights of random backbones and the random step: the same for all methods."""

STEP = 1e-4
"""Standard deviation of the random step."""


@dataclass(frozen=True)
class PreparedModel:
    """A deployed model and its backbone, loaded on the device to measure on.

    Attributes:
        model: The deployed model.
        reference: The untouched backbone; None if it is unknown.
        head: Names of the parameters of the task head.
        folder: The deployed folder; None on the meta device, which has no weights to save.
        trainable: Number of parameters that train, without the head.
        storage: Bytes on disk.
        training_peak: Peak memory of the training that a stored result reports.
        notes: Remarks that a reader of the costs needs.
    """

    model: nn.Module
    reference: nn.Module | None
    head: frozenset[str]
    folder: Path | None = None
    trainable: int | None = None
    storage: Storage | None = None
    training_peak: MemoryPeak | None = None
    notes: tuple[str, ...] = ()


def prepare(
    profiled: ProfiledModel,
    *,
    device: torch.device,
    dtype: torch.dtype,
    attention: str,
    work: Path,
) -> PreparedModel:
    """Load a deployed model and its backbone, on a device and in a type of weights.

    Args:
        profiled: The model to measure.
        device: The device to measure on; ``meta`` counts arithmetic without weights.
        dtype: The type of the weights.
        attention: The attention implementation of untrained backbones.
        work: An empty folder, where an untrained model is saved.
    """
    if isinstance(profiled, DeployedModel):
        return _prepare_deployed(profiled, device, dtype)
    if device.type == "meta":
        return _prepare_without_weights(profiled, attention)
    return _prepare_untrained(profiled, device, dtype, attention=attention, folder=work / "model")


def _prepare_deployed(
    profiled: DeployedModel, device: torch.device, dtype: torch.dtype
) -> PreparedModel:
    record, result = profiled.record, profiled.result
    model: Any = deployed.load(profiled.folder)
    notes: tuple[str, ...] = ()
    if changed := profiled.changed_files:
        notes = (f"differs from what its run stored: {', '.join(changed)}",)
    backbone = None
    try:
        labels = tuple(model.config.id2label.values()) if record.form is Form.CLASSIFICATION else ()
        backbone = load_backbone(profiled.source, form=record.form, labels=labels).model.eval()
    except UserError as error:
        notes = (*notes, f"no untouched backbone to measure beside: {error}")
    costs, stored = result.costs if result else None, count_storage(model, backbone=backbone)
    return PreparedModel(
        model=model.to(device, dtype),
        reference=backbone and backbone.to(device, dtype),
        head=frozenset(record.head),
        folder=profiled.folder,
        trainable=costs.parameters.trainable if costs and costs.parameters else None,
        storage=stored,
        training_peak=costs.memory.training if costs and costs.memory else None,
        notes=notes,
    )


def _prepare_without_weights(profiled: UntrainedModel, attention: str) -> PreparedModel:
    backbone = _backbone(profiled.source, profiled.form, attention, meta=True)
    method = configure(profiled.method.name, profiled.method.settings)
    try:
        finished = finish(method, copy.deepcopy(backbone), seed=SEED)
    except RuntimeError as error:
        raise UserError(
            f"{profiled.method.name} reads weights, and `meta` has none: profile it on `cpu`"
        ) from error
    return PreparedModel(
        model=finished.model.eval(),
        reference=backbone.model.eval(),
        head=backbone.head,
        trainable=finished.trainable,
        notes=profiled.notes,
    )


def _prepare_untrained(
    profiled: UntrainedModel,
    device: torch.device,
    dtype: torch.dtype,
    *,
    attention: str,
    folder: Path,
) -> PreparedModel:
    backbone = _backbone(profiled.source, profiled.form, attention, meta=False)
    method = configure(profiled.method.name, profiled.method.settings)
    finished = finish(method, copy.deepcopy(backbone), seed=SEED)
    reference = backbone.model.eval()
    deployed.save(finished.model, folder, form=profiled.form, head=backbone.head)
    stored = count_storage(finished.model, backbone=reference, learned=finished.learned)
    trainable, remarks = finished.trainable, finished.remarks
    del finished  # the model that is measured is the one loaded back
    if device.type != "cpu" or dtype != torch.float32:
        reference = copy.deepcopy(reference).to(device, dtype)
    return PreparedModel(
        model=deployed.load(folder, device=device).to(dtype),
        reference=reference,
        head=backbone.head,
        folder=folder,
        trainable=trainable,
        storage=stored,
        notes=(*profiled.notes, *remarks),
    )


@lru_cache(maxsize=1)
def _backbone(source: ModelSource, form: Form, attention: str, *, meta: bool) -> Backbone:
    """Return the untouched backbone; the last one is cached, as its methods come in a row."""
    from transformers import set_seed

    labels = LABELS if form is Form.CLASSIFICATION else ()
    set_seed(SEED)
    load = empty_backbone if meta else load_backbone
    backbone = load(source, form=form, labels=labels)
    model: Any = backbone.model
    model.set_attn_implementation(attention)
    return backbone


@dataclass(frozen=True)
class FinishedModel:
    """An untrained backbone in the final form of a method.

    Attributes:
        model: The model to deploy.
        trainable: Number of parameters that would train, without the head.
        learned: Bytes of what would train, with the head, and of the masks; None without values
            (on the ``meta`` device), since a mask cannot be read there.
        remarks: The method's remarks on the model.
    """

    model: nn.Module
    trainable: int
    learned: int | None
    remarks: tuple[str, ...]


def finish(method: Method, backbone: Backbone, *, seed: int = 0) -> FinishedModel:
    """Take a method from ``prepare`` to ``deploy``, every stage and schedule at its end.

    Args:
        method: The method.
        backbone: The backbone, on the CPU; its model is changed in place.
        seed: Seeds the random step.
    """
    model = backbone.model
    original = {name: tensor.detach().clone() for name, tensor in model.state_dict().items()}
    own = {**dict(model.named_buffers()), **model.state_dict(keep_vars=True)}
    names = {id(tensor): name for name, tensor in own.items()}
    head = {id(model.get_parameter(name)) for name in backbone.head}
    if method.teacher_name is not None:
        method.teacher = stand_in(backbone)
    view = prepared(method, backbone)
    _random_step(view, seed)
    trainable = [trainable_parameters(view, head)]
    data = DummyData(model, backbone.form)
    for stage in method.stages():
        method.begin_stage(view.eval(), stage, data)
        trainable.append(trainable_parameters(view, head))
    method.before_step(view, 1.0)
    has_values = not any(tensor.is_meta for tensor in original.values())
    learned = sum(_learned_bytes(view, names, original)) if has_values else None
    view.eval()
    with torch.no_grad():
        model = deployed_model(method, view)
    return FinishedModel(model, max(trainable), learned, remarks(method))


@torch.no_grad()
def _random_step(view: nn.Module, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    for parameter in view.parameters():
        if parameter.requires_grad:
            noise = torch.empty(parameter.shape).normal_(0.0, STEP, generator=generator)
            parameter.add_(noise.to(parameter.device, parameter.dtype))


def _learned_bytes(
    view: nn.Module, names: Mapping[int, str], original: Mapping[str, Tensor]
) -> Iterator[int]:
    """Yield the bytes of each tensor that must be stored besides the backbone."""
    for parameter in view.parameters():
        if parameter.requires_grad:
            yield parameter.nbytes
            continue
        name = names.get(id(parameter))
        before = original.get(name or "")
        if before is None:  # a matrix that lost rows or columns: a bit for each
            yield bit_bytes(sum(parameter.shape))
        elif not torch.equal(before, parameter.detach()):
            yield bit_bytes(parameter.numel())
    for buffer in view.buffers():
        if id(buffer) not in names:
            yield bit_bytes(buffer.numel()) if buffer.dtype == torch.bool else buffer.nbytes
