"""Count the exact figures of papers: no training, no data, random weights of the right shapes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from sparsebench.method_registry import configure, prepared
from sparsebench.models import load_backbone, model_source
from sparsebench.papers.published import ExactFigure, Measure
from sparsebench.profiling import DummyData, dummy_inputs
from sparsebench.profiling.flops import count_flops
from sparsebench.tasks import Form

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from torch import nn

    from sparsebench.method import Method
    from sparsebench.models import Backbone

LENGTH = 128
"""Tokens of the sequence whose multiply-adds are counted."""


@dataclass(frozen=True)
class CheckedFigure:
    """A published figure and ours.

    Attributes:
        figure: The published figure.
        ours: The value counted here.
    """

    figure: ExactFigure
    ours: float

    @property
    def agrees(self) -> bool:
        """True if ours equals the published value in the published digits."""
        digits = self.figure.digits
        if digits is None:
            return self.ours == self.figure.value
        return f"{self.ours:.{digits - 1}e}" == f"{self.figure.value:.{digits - 1}e}"


def check_exact(figures: Iterable[ExactFigure]) -> Iterator[CheckedFigure]:
    """Count the figures one by one; neighbours with the same model share it."""
    shared: tuple[tuple[Any, ...], _CountedModel] | None = None
    for figure in figures:
        kind = (figure.model, figure.labels, figure.method, str(figure.settings), figure.stage)
        if shared is None or shared[0] != kind:
            shared = kind, _CountedModel.of(figure)
        yield CheckedFigure(figure, shared[1].count(figure))


@dataclass(frozen=True)
class _CountedModel:
    """A backbone, and the same after a method has prepared it."""

    backbone: Backbone
    method: Method | None
    view: Any
    head: frozenset[int]

    @classmethod
    def of(cls, figure: ExactFigure) -> _CountedModel:
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
        data = DummyData(backbone.model, backbone.form)
        for stage in list(method.stages())[1 : figure.stage + 1]:
            method.begin_stage(view, stage, data)
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
        untouched = _CountedModel.of(figure.model_copy(update={"method": None}))
        deployed = self.method.deploy(self.view) if self.method else self.view
        return 1 - _macs(deployed) / _macs(untouched.view)


def _macs(model: nn.Module) -> int:
    model = model.to("meta").eval()
    inputs = dummy_inputs(
        model.config,
        batch_size=1,
        length=LENGTH,
        target_length=1,
        device=torch.device("meta"),
    )
    return count_flops(model, inputs).matrix
