"""Counts what papers state exactly: no training, no data, random weights of the right shapes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from sparsebench.method_registry import configure, prepared
from sparsebench.models import load_backbone, model_source
from sparsebench.papers.schema import ExactFigure, Measure
from sparsebench.profiling import dummy_inputs
from sparsebench.profiling.flops import flops
from sparsebench.tasks import Form

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from torch import nn

    from sparsebench.method import Method
    from sparsebench.models import Backbone

LENGTH = 128
"""Tokens of the sequence whose multiply-adds are counted."""


@dataclass(frozen=True)
class Checked:
    """A published figure and ours.

    Attributes:
        figure: The published figure.
        ours: What we count.
    """

    figure: ExactFigure
    ours: float

    @property
    def agrees(self) -> bool:
        """Whether ours is the published value, in the digits that are published."""
        digits = self.figure.digits
        if digits is None:
            return self.ours == self.figure.value
        return f"{self.ours:.{digits - 1}e}" == f"{self.figure.value:.{digits - 1}e}"


def check_exact(figures: Iterable[ExactFigure]) -> Iterator[Checked]:
    """Counts the figures one by one; what several are counted on is made once, if they follow."""
    made: tuple[tuple[Any, ...], _Subject] | None = None
    for figure in figures:
        kind = (figure.model, figure.labels, figure.method, str(figure.settings), figure.stage)
        if made is None or made[0] != kind:
            made = kind, _Subject.of(figure)
        yield Checked(figure, made[1].count(figure))


@dataclass(frozen=True)
class _Subject:
    """A backbone, and what a method made of it."""

    backbone: Backbone
    method: Method | None
    view: Any
    head: frozenset[int]

    @classmethod
    def of(cls, figure: ExactFigure) -> _Subject:
        backbone = load_backbone(
            model_source(figure.model),
            form=Form.CLASSIFICATION,
            labels=[str(number) for number in range(figure.labels)],
        )
        head = frozenset(id(backbone.model.get_parameter(name)) for name in backbone.head)
        if figure.method is None:
            return cls(backbone, None, backbone.model, head)
        method = configure(figure.method, figure.settings)
        view = prepared(method, backbone)
        for stage in list(method.stages())[1 : figure.stage + 1]:
            method.begin_stage(view, stage)
        return cls(backbone, method, view, head)

    def count(self, figure: ExactFigure) -> float:
        match figure.measure:
            case Measure.TRAINABLE:
                trained = (p for p in self.view.parameters() if p.requires_grad)
                return float(sum(p.numel() for p in trained if id(p) not in self.head))
            case Measure.NON_EMBEDDING:
                return float(self.view.num_parameters(exclude_embeddings=True))
            case Measure.FLOATING_POINT_OPS:
                size = float(self.view.num_parameters(exclude_embeddings=True))
                return 6 * figure.tokens * size
            case Measure.MACS_SAVED:
                return self._macs_saved(figure)

    def _macs_saved(self, figure: ExactFigure) -> float:
        untouched = _Subject.of(figure.model_copy(update={"method": None}))
        shipped = self.method.deploy(self.view) if self.method else self.view
        return 1 - _macs(shipped) / _macs(untouched.view)


def _macs(model: nn.Module) -> int:
    model = model.to("meta").eval()
    inputs = dummy_inputs(
        model.config,
        batch_size=1,
        length=LENGTH,
        target_length=1,
        device=torch.device("meta"),
    )
    return flops(model, inputs).matrix
