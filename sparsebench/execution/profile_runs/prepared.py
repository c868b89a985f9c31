"""What is to be measured, made ready: the model that ships in a folder, and its backbone."""

from __future__ import annotations

import copy
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import torch

from sparsebench import deployed
from sparsebench.errors import UserError
from sparsebench.execution.profile_runs.subjects import LABELS, Shipped
from sparsebench.execution.profile_runs.untrained import finish
from sparsebench.method_registry import configure
from sparsebench.models import Backbone, Form, empty_backbone, load_backbone
from sparsebench.profiling.storage import storage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import nn

    from sparsebench.execution.profile_runs.subjects import Untrained
    from sparsebench.models import ModelSource
    from sparsebench.results.costs import MemoryPeak, Storage

SEED = 0
"""Draws the weights of random backbones: the same for all methods."""


@dataclass(frozen=True)
class Made:
    """A subject, made ready.

    Attributes:
        folder: The deployed folder; None on the meta device, where there is no weight to save.
        model: The model, where there is no folder.
        backbone: The untouched backbone, or None where it is not known.
        head: Names of the parameters of the task head.
        trainable: Parameters that trained or would, the head apart.
        storage: Bytes on disk.
        training: Peak of memory while it was trained.
        notes: What must be known to read its costs.
    """

    folder: Path | None
    model: nn.Module | None
    backbone: nn.Module | None
    head: frozenset[str]
    trainable: int | None = None
    storage: Storage | None = None
    training: MemoryPeak | None = None
    notes: tuple[str, ...] = ()

    def load(self, device: torch.device, dtype: torch.dtype) -> nn.Module:
        """Returns the model that ships, loaded from its folder."""
        if self.folder is None:
            assert self.model is not None  # noqa: S101 - one of the two is there
            return self.model
        return deployed.load(self.folder, device=device).to(dtype)

    def reference(self, device: torch.device, dtype: torch.dtype) -> nn.Module | None:
        """Returns the untouched backbone on a device; on the CPU in fp32 it is no copy."""
        if self.backbone is None:
            return None
        as_it_is = device.type in {"cpu", "meta"} and dtype == torch.float32
        kept = self.backbone if as_it_is else copy.deepcopy(self.backbone)
        return kept.to(device, dtype).eval()


@contextmanager
def made(subject: Untrained | Shipped, *, attention: str, meta: bool = False) -> Iterator[Made]:
    """Makes a subject ready; what it takes on disk is gone afterwards.

    Args:
        subject: The subject.
        attention: The implementation of attention of untrained backbones.
        meta: Whether to make it without weights.
    """
    if isinstance(subject, Shipped):
        yield _shipped(subject)
        return
    with TemporaryDirectory(prefix="sparsebench-") as folder:
        yield _untrained(subject, Path(folder), attention=attention, meta=meta)


def _untrained(subject: Untrained, work: Path, *, attention: str, meta: bool) -> Made:
    pristine = _backbone(subject.source, subject.form, attention, meta)
    backbone = copy.deepcopy(pristine)
    method = configure(subject.method.name, subject.method.settings)
    try:
        finished = finish(method, backbone, seed=SEED)
    except RuntimeError as error:
        if not meta:
            raise
        name = subject.method.name
        raise UserError(
            f"{name} reads weights, and `meta` has none: profile it on `cpu`"
        ) from error
    whole = pristine.model.eval()
    if meta:
        return Made(
            folder=None,
            model=finished.model.eval(),
            backbone=whole,
            head=pristine.head,
            trainable=finished.trainable,
            notes=subject.notes,
        )
    folder = work / "deployed"
    deployed.save(finished.model, folder, form=subject.form, head=pristine.head)
    return Made(
        folder=folder,
        model=None,
        backbone=whole,
        head=pristine.head,
        trainable=finished.trainable,
        storage=storage(finished.model, backbone=whole, learned=finished.learned),
        notes=subject.notes,
    )


@lru_cache(maxsize=1)
def _backbone(source: ModelSource, form: Form, attention: str, meta: bool) -> Backbone:  # noqa: FBT001 - a key
    """Returns the untouched backbone; one is kept, as methods come one after the other."""
    from transformers import set_seed

    labels = LABELS if form is Form.CLASSIFICATION else ()
    set_seed(SEED)
    load = empty_backbone if meta else load_backbone
    backbone = load(source, form=form, labels=labels)
    model: Any = backbone.model
    model.set_attn_implementation(attention)
    return backbone


def _shipped(subject: Shipped) -> Made:
    record, result = subject.record, subject.result
    model: Any = deployed.load(subject.folder)
    notes: tuple[str, ...] = ()
    if changed := subject.changed:
        notes = (f"not what its run kept: {', '.join(changed)}",)
    backbone = None
    try:
        classes = tuple(model.config.id2label.values())
        labels = classes if record.form is Form.CLASSIFICATION else ()
        backbone = load_backbone(subject.source, form=record.form, labels=labels).model.eval()
    except UserError as error:
        notes = (*notes, f"no untouched backbone to measure beside: {error}")
    before = result.costs if result else None
    known = before.parameters if before else None
    return Made(
        folder=subject.folder,
        model=None,
        backbone=backbone,
        head=frozenset(record.head),
        trainable=known.trainable if known else None,
        storage=storage(model, backbone=backbone),
        training=before.memory.training if before and before.memory else None,
        notes=notes,
    )
