"""What a runtime is: it takes a deployed model and returns one that runs in its way."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch

from sparsebench.models.anatomy import anatomy_of
from sparsebench.profiling.parameters import peft_base

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor, nn

    Forward = Callable[[], object]


@dataclass(frozen=True)
class Trial:
    """One product in the runtime's way, beside the same product as it is.

    Attributes:
        dense: Runs the product with every zero.
        runtime: Runs it in the runtime's way.
    """

    dense: Forward
    runtime: Forward


@dataclass(frozen=True)
class Shape:
    """A matrix, and how many tokens it is applied to at once.

    Attributes:
        rows: Its outputs.
        columns: Its inputs.
        tokens: How many.
    """

    rows: int
    columns: int
    tokens: int


class Runtime(ABC):
    """A way to run a deployed model; its docstring is what ``list runtimes`` prints.

    The weights stay what they are: its answers are those of the deployed model, to rounding.
    """

    skips: ClassVar[Literal["weights", "activations", "rows"] | None] = None
    """What it skips where that is zero or gone; None if nothing."""

    shares: ClassVar[tuple[float, ...]] = (0.5, 0.7, 0.8, 0.9, 0.95, 0.98)
    """Shares of zeros that break-even is looked for at."""

    def refuses(self, model: nn.Module, *, device: torch.device, dtype: torch.dtype) -> str | None:  # noqa: ARG002
        """Returns why it cannot run such a model there, or has nothing to gain; None if it can.

        Args:
            model: The deployed model.
            device: Where it is to run.
            dtype: The type of its weights.
        """
        return None

    @abstractmethod
    def convert(self, model: nn.Module) -> nn.Module:
        """Returns the model as the runtime runs it; ``model`` itself is left as it is."""

    def trial(
        self,
        shape: Shape,  # noqa: ARG002
        *,
        share: float,  # noqa: ARG002
        device: torch.device,  # noqa: ARG002
        dtype: torch.dtype,  # noqa: ARG002
    ) -> Trial | None:
        """Returns one product at a share of zeros, to find the break-even; None if it has none."""
        return None


@dataclass(frozen=True)
class Holder:
    """A module that holds one or several matrices of a block.

    Attributes:
        path: Its path in the plain model.
        weight: Its weight ``[out, in]``, whatever its layout.
        bias: Its bias ``[out]``, or None.
    """

    path: str
    weight: Tensor
    bias: Tensor | None


def holders(model: nn.Module) -> Iterator[Holder]:
    """Yields every plain module that holds matrices of the blocks of a model, once."""
    base = peft_base(model)
    found: dict[str, bool] = {}
    for matrix in anatomy_of(base).matrices():
        found[matrix.path] = matrix.transposed
    for path, transposed in found.items():
        module: Any = base.get_submodule(path)
        if not hasattr(module, "base_layer"):  # what PEFT could not merge keeps its branches
            weight = module.weight.detach()
            yield Holder(path, weight.T if transposed else weight, module.bias)


def with_replaced(
    model: nn.Module,
    fits: Callable[[Tensor], bool],
    make: Callable[[Tensor, Tensor | None], nn.Module],
) -> nn.Module:
    """Returns a copy of a model in which other modules hold some matrices of the blocks.

    Args:
        model: The model.
        fits: Says of a weight ``[out, in]`` whether its module is replaced.
        make: Makes the module that takes its place, from weight and bias.
    """
    model = copy.deepcopy(model)
    base = peft_base(model)
    for holder in list(holders(model)):
        if fits(holder.weight):
            base.set_submodule(holder.path, make(holder.weight, holder.bias))
    return model


def zeros_in(shape: tuple[int, ...], share: float, *, device: torch.device) -> Tensor:
    """Returns a boolean tensor that is True at about a share of its entries, drawn evenly."""
    generator = torch.Generator().manual_seed(0)
    return (torch.rand(shape, generator=generator) < share).to(device)
