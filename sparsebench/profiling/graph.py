"""The operators of a traced graph as handlers see them: shapes and weights."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    import torch

_TRANSPOSES = frozenset({"aten::t", "aten::transpose", "aten::numpy_T", "aten::mT"})
_SAME_ENTRIES = _TRANSPOSES | {
    "aten::contiguous",
    "aten::detach",
    "aten::to",
    "aten::to_sparse",
    "aten::to_sparse_csr",
    "aten::type_as",
}


class UncountableError(Exception):
    """The work of an operator cannot be derived from its inputs."""


@dataclass(frozen=True)
class Operand:
    """An input or output tensor of an operator.

    Attributes:
        shape: Its shape.
        floating: Whether it holds numbers rather than indices or flags.
        weight: The parameter or buffer with the same entries, possibly transposed; else None.
        sparse: Whether it is stored without its zeros, so that a product skips them.
    """

    shape: tuple[int, ...]
    floating: bool
    weight: torch.Tensor | None = None
    sparse: bool = False


class Weights:
    """A map from values of a traced graph to stored tensors.

    Args:
        tensors: The graph's inputs, in order: those of the forward pass, then the state of the
            traced module.
    """

    def __init__(self, tensors: Sequence[torch.Tensor]) -> None:
        self._tensors = tensors
        self._by_name: dict[str, torch.Tensor] = {}

    def find(self, value: Any) -> tuple[torch.Tensor | None, bool]:
        """Return the tensor with the entries of ``value``, and whether it is transposed."""
        transposed = False
        while (kind := value.node().kind()) in _SAME_ENTRIES:
            transposed ^= kind in _TRANSPOSES
            value = next(iter(value.node().inputs()))
        if kind != "prim::Param":
            return None, transposed
        if not self._by_name:
            names = [output.debugName() for output in value.node().outputs()]
            self._by_name = dict(zip(names, self._tensors, strict=True))
        return self._by_name[value.debugName()], transposed


class Call:
    """One operator in a traced graph.

    Args:
        inputs: Its ``torch._C.Value`` inputs.
        outputs: Its ``torch._C.Value`` outputs.
        weights: The stored tensors of the graph.
    """

    def __init__(self, inputs: Sequence[Any], outputs: Sequence[Any], *, weights: Weights) -> None:
        self._inputs = inputs
        self._outputs = outputs
        self._weights = weights

    @property
    def result(self) -> Operand:
        """The first output."""
        return self._operand(self._outputs[0])

    def operand(self, place: int) -> Operand:
        """Return the tensor at a position among the inputs.

        Raises:
            UncountableError: There is none, or its shape is not known.
        """
        if place >= len(self._inputs):
            raise UncountableError
        return self._operand(self._inputs[place])

    def operands(self, place: int) -> list[Operand]:
        """Return the tensors of the list at a position among the inputs."""
        return [self._operand(value) for value in self._inputs[place].node().inputs()]

    def constant(self, place: int) -> object:
        """Return the constant at a position among the inputs; None for anything else."""
        if place >= len(self._inputs) or self._inputs[place].node().kind() != "prim::Constant":
            return None
        value: object = self._inputs[place].toIValue()
        return value

    def has_tensor(self, place: int) -> bool:
        """Whether there is a tensor at a position among the inputs."""
        return place < len(self._inputs) and self._inputs[place].type().kind() == "TensorType"

    def _operand(self, value: Any) -> Operand:
        weight, transposed = self._weights.find(value)
        if value.isCompleteTensor():
            shape, dtype = tuple(value.type().sizes()), value.type().dtype()
        elif weight is not None:
            shape, dtype = tuple(weight.shape), weight.dtype
            shape = shape[::-1] if transposed else shape
        else:
            raise UncountableError
        # The tracer knows the shape of every tensor except sparse ones.
        sparse = not value.isCompleteTensor()
        return Operand(shape, floating=dtype.is_floating_point, weight=weight, sparse=sparse)
