"""The base class of runtimes, and what several of them need."""

from __future__ import annotations

import copy
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import torch

from sparsebench.models import anatomy_of
from sparsebench.profiling.parameters import peft_base

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from torch import Tensor, nn

    Forward = Callable[[], object]


@dataclass(frozen=True)
class KernelPair:
    """One matrix product, dense and by the kernel of a runtime.

    Attributes:
        dense: Runs the dense product.
        runtime: Runs the product of the runtime.
    """

    dense: Forward
    runtime: Forward


@dataclass(frozen=True)
class MatrixShape:
    """The shape of a matrix product.

    Attributes:
        rows: Outputs of the matrix.
        columns: Inputs of the matrix.
        tokens: Tokens that it is applied to.
    """

    rows: int
    columns: int
    tokens: int


class Runtime(ABC):
    """A way to run a deployed model; ``list runtimes`` prints the docstring of a subclass.

    The weights stay the same: the logits are those of the deployed model, up to rounding.
    """

    skips: ClassVar[Literal["weights", "activations", "rows"] | None] = None
    """What it skips if it is zero or removed; None for nothing."""

    shares: ClassVar[tuple[float, ...]] = (0.5, 0.7, 0.8, 0.9, 0.95, 0.98)
    """Sparsities that break-even is measured at."""

    def refuses(self, model: nn.Module, *, device: torch.device, dtype: torch.dtype) -> str | None:  # noqa: ARG002
        """Return why it cannot run a model or has nothing to skip in it; None if it can.

        Args:
            model: The deployed model.
            device: The device to run on.
            dtype: The type of the weights.
        """
        return None

    @abstractmethod
    def convert(self, model: nn.Module) -> nn.Module:
        """Return the model as the runtime runs it, without changing ``model``."""

    def kernel_pair(
        self,
        shape: MatrixShape,  # noqa: ARG002
        *,
        share: float,  # noqa: ARG002
        device: torch.device,  # noqa: ARG002
        dtype: torch.dtype,  # noqa: ARG002
    ) -> KernelPair | None:
        """Return one product at a sparsity, to find the break-even; None if there is none."""
        return None


@dataclass(frozen=True)
class Holder:
    """A module with one or several matrices of a block.

    Attributes:
        path: Its path in the plain model.
        weight: Its weight ``[out, in]``, whatever its layout.
        bias: Its bias ``[out]``, or None.
    """

    path: str
    weight: Tensor
    bias: Tensor | None


def holders(model: nn.Module) -> Iterator[Holder]:
    """Yield every plain module with matrices of a model's blocks, once."""
    base = peft_base(model)
    found: dict[str, bool] = {}
    for matrix in anatomy_of(base).matrices():
        found[matrix.path] = matrix.transposed
    for path, transposed in found.items():
        module: Any = base.get_submodule(path)
        if not hasattr(module, "base_layer"):  # branches that PEFT could not merge stay
            weight = module.weight.detach()
            yield Holder(path, weight.T if transposed else weight, module.bias)


def with_replaced(
    model: nn.Module,
    fits: Callable[[Tensor], bool],
    make: Callable[[Tensor, Tensor | None], nn.Module],
) -> nn.Module:
    """Return a copy of a model with some matrices of the blocks in other modules.

    Args:
        model: The model.
        fits: Whether the module of a weight ``[out, in]`` is replaced.
        make: Creates the replacement from weight and bias.
    """
    model = copy.deepcopy(model)
    base = peft_base(model)
    for holder in list(holders(model)):
        if fits(holder.weight):
            base.set_submodule(holder.path, make(holder.weight, holder.bias))
    return model


def zeros_in(shape: tuple[int, ...], share: float, *, device: torch.device) -> Tensor:
    """Return a boolean tensor that is True at a random ``share`` of its entries."""
    generator = torch.Generator().manual_seed(0)
    return (torch.rand(shape, generator=generator) < share).to(device)
