"""Count the arithmetic of one forward pass by tracing it with fvcore.

fvcore by itself misses scaled dot-product attention, counts a sparse product as zero, and ignores
unknown operators. Here every operator either has a handler, is known to compute nothing, or is
reported by name. A trace leaves out work whose result is not used. On the meta device a model of
any size is traced in about a second.
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


def count_flops(
    model: nn.Module,
    inputs: Mapping[str, torch.Tensor],
    *,
    handlers: Mapping[str, Handler] = HANDLERS,
) -> Flops:
    """Count the multiply-adds of ``model(**inputs)`` and check them against the closed form.

    Args:
        model: A module whose inputs are tensors, by keyword.
        inputs: The inputs of one forward pass, on the device of the model (meta included).
        handlers: The handler of each operator.
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
    """A model with positional inputs and a tuple of tensors as output, for the tracer."""

    def __init__(self, model: nn.Module, names: tuple[str, ...]) -> None:
        super().__init__()
        self.model = model
        self.names = names

    def forward(self, *inputs: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return tuple(_tensors(self.model(**dict(zip(self.names, inputs, strict=True)))))


class _Analysis(JitModelAnalysis):  # type: ignore[misc] # fvcore has no types
    """fvcore's analysis that ignores the operators in ``MOVES`` and no others."""

    def __init__(self, model: nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        super().__init__(model, inputs)
        self._ignored_ops = set(MOVES)
        self.unsupported_ops_warnings(False).uncalled_modules_warnings(False)  # noqa: FBT003
        self.tracer_warnings("none")


def _trace(
    model: nn.Module, inputs: tuple[torch.Tensor, ...], handlers: Mapping[str, Handler]
) -> tuple[Counter[str], set[str]]:
    """Return the counts of the whole model, and the operators without a handler."""
    # The inputs of the traced graph are those of the model, then every stored tensor once.
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
    """Yield the tensors of a model's output, without caches and other objects."""
    if isinstance(output, torch.Tensor):
        yield output
    elif isinstance(output, dict):
        for value in output.values():
            yield from _tensors(value)
    elif isinstance(output, list | tuple):
        for value in output:
            yield from _tensors(value)
