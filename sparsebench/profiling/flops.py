"""Counts the arithmetic of one forward pass by tracing it, with fvcore.

fvcore by itself misses scaled dot-product attention, counts a sparse product as nothing, and passes
over operators that it does not know. Here every operator has a handler, is known to compute
nothing, or is reported by its name. Work whose result nobody reads is no part of a trace. On the
meta device a model of any size is traced in about a second.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import torch
from fvcore.nn.jit_analysis import JitModelAnalysis
from torch import nn

from sparsebench.profiling.closed_form import closed_form
from sparsebench.profiling.graph import Call, UncountableError, Weights
from sparsebench.profiling.handlers import ELEMENTWISE, HANDLERS, MATRIX, MOVES, NONZERO
from sparsebench.profiling.inference import inference, shapes_of
from sparsebench.results.costs import Flops

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sparsebench.profiling.handlers import Handler

_UNCOUNTED = "uncounted "


def flops(
    model: nn.Module,
    inputs: Mapping[str, torch.Tensor],
    *,
    handlers: Mapping[str, Handler] = HANDLERS,
) -> Flops:
    """Counts the multiply-adds of ``model(**inputs)`` and checks them against the closed form.

    Args:
        model: Any module whose inputs are tensors, given by keyword.
        inputs: Those of one forward pass, on the device of the model, meta included.
        handlers: How much every operator computes.
    """
    shapes = shapes_of(inputs)
    with inference(model):
        counts, unknown = _trace(
            _Positional(model, tuple(inputs)), tuple(inputs.values()), handlers
        )
    uncountable = {key.removeprefix(_UNCOUNTED) for key in counts if key.startswith(_UNCOUNTED)}
    has_values = not any(parameter.is_meta for parameter in model.parameters())
    return Flops(
        matrix=counts[MATRIX],
        matrix_nonzero=counts[NONZERO] if has_values else None,
        elementwise=counts[ELEMENTWISE],
        closed_form=closed_form(model, shapes),
        uncounted=tuple(sorted(uncountable | unknown)),
        shapes=shapes,
    )


class _Positional(nn.Module):
    """Takes its inputs by position and returns a tuple of tensors, as the tracer needs it."""

    def __init__(self, model: nn.Module, names: tuple[str, ...]) -> None:
        super().__init__()
        self.model = model
        self.names = names

    def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(_tensors(self.model(**dict(zip(self.names, inputs, strict=True)))))


class _Analysis(JitModelAnalysis):  # type: ignore[misc] # fvcore has no types
    """fvcore's analysis, that ignores what we say and nothing else."""

    def __init__(self, model: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        super().__init__(model, inputs)
        self._ignored_ops = set(MOVES)
        self.unsupported_ops_warnings(False).uncalled_modules_warnings(False)  # noqa: FBT003
        self.tracer_warnings("none")


def _trace(
    model: nn.Module, inputs: tuple[torch.Tensor, ...], handlers: Mapping[str, Handler]
) -> tuple[Counter[str], set[str]]:
    """Returns the counts of the whole model, and the operators that have no handler."""
    # The tracer's graph takes the inputs and then every stored tensor once, in this order.
    stored = {id(tensor): tensor for tensor in model.state_dict(keep_vars=True).values()}
    weights = Weights((*inputs, *stored.values()))
    analysis = _Analysis(model, inputs)
    for name, handler in handlers.items():
        analysis.set_op_handle(name, _adapt(name, handler, weights))
    return Counter(analysis.by_operator()), set(analysis.unsupported_ops())


def _adapt(name: str, handler: Handler, weights: Weights) -> Any:
    def handle(inputs: list[Any], outputs: list[Any]) -> Counter[str]:
        try:
            return handler(Call(inputs, outputs, weights=weights))
        except UncountableError:
            return Counter({_UNCOUNTED + name: 1})

    return handle


def _tensors(output: object) -> Iterator[torch.Tensor]:
    """Yields the tensors of what a model returned; caches and the like are left out."""
    if isinstance(output, torch.Tensor):
        yield output
    elif isinstance(output, dict):
        for value in output.values():
            yield from _tensors(value)
    elif isinstance(output, list | tuple):
        for value in output:
            yield from _tensors(value)
