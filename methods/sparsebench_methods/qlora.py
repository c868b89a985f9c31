"""QLoRA: low-rank updates beside weights that are stored in four bits during training."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar

import torch
from pydantic import Field
from torch import nn

from sparsebench import Backbone, Family, Form, Method, MethodConfig, UserError
from sparsebench.sparsity.branches import LowRank, attach_branches, fold_branches

if TYPE_CHECKING:
    from sparsebench.models import Matrix

BLOCK = 64
"""Neighbouring weights that share a scale."""

_STD = 0.02
"""Standard deviation of A at first."""


class _Product(torch.autograd.Function):
    """The product with a quantised weight; the backward pass unpacks the weight again."""

    @staticmethod
    def forward(ctx: Any, inputs: torch.Tensor, holder: Quantized) -> torch.Tensor:
        ctx.holder = holder
        return nn.functional.linear(inputs, holder.oriented().to(inputs.dtype))

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None]:
        return grad @ ctx.holder.oriented().to(grad.dtype), None


class Quantized(nn.Module):
    """A frozen linear module whose weight is stored in NF4: four bits, and a scale a block.

    Args:
        inner: The ``Linear`` or ``Conv1D``.
        matrix: A matrix of the module.
    """

    packed: torch.Tensor
    scales: torch.Tensor

    def __init__(self, inner: Any, matrix: Matrix) -> None:
        super().__init__()
        from bitsandbytes import functional

        self.transposed = matrix.transposed
        self.kind: type[nn.Module] = type(inner)
        weight = inner.weight.detach()
        oriented = weight.T if self.transposed else weight
        self.shape, self.dtype = oriented.shape, oriented.dtype
        packed, state = functional.quantize_4bit(
            oriented.reshape(-1, BLOCK), quant_type="nf4", blocksize=BLOCK
        )
        self.register_buffer("packed", packed)
        self.register_buffer("scales", state.absmax)
        self.bias: nn.Parameter | None = inner.bias

    def oriented(self) -> torch.Tensor:
        """Return the unpacked weight ``[out, in]``, rounded to four bits."""
        from bitsandbytes import functional

        state = functional.QuantState(
            absmax=self.scales,
            shape=torch.Size((self.scales.numel(), BLOCK)),
            code=functional.get_4bit_type("nf4", self.packed.device),
            blocksize=BLOCK,
            quant_type="nf4",
            dtype=self.dtype,
        )
        blocks: torch.Tensor = functional.dequantize_4bit(self.packed, state)
        return blocks.reshape(self.shape)

    @property
    def weight(self) -> torch.Tensor:
        """A copy of the unpacked weight, in the layout of the module."""
        return self.oriented().T if self.transposed else self.oriented()

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        """Return the product ``[..., out]`` of inputs ``[..., in]`` with the unpacked weight."""
        outputs: torch.Tensor = _Product.apply(inputs, self)  # type: ignore[no-untyped-call]
        return outputs if self.bias is None else outputs + self.bias

    def plain(self) -> nn.Module:
        """Return a module of the original class with the unpacked weight."""
        rows, columns = self.shape
        sizes = (rows, columns) if self.transposed else (columns, rows)
        plain: Any = self.kind(*sizes)  # the arguments of Conv1D are (out, in), of Linear (in, out)
        plain.weight = nn.Parameter(self.weight.contiguous(), requires_grad=False)
        plain.bias = self.bias
        return plain  # type: ignore[no-any-return]


class QLoRAConfig(MethodConfig):
    """Settings of ``qlora``; the defaults are the paper's for its smaller models."""

    learning_rate: float = Field(default=2e-4, gt=0)
    """Peak learning rate."""

    rank: int = Field(default=64, ge=1)
    """The rank of every update."""

    alpha: float = Field(default=16.0, gt=0)
    """The update is scaled by ``alpha / rank``."""

    dropout: float = Field(default=0.1, ge=0, lt=1)
    """The share of inputs that the update does not see while training."""


class QLoRA(Method):
    """LoRA on every matrix of the blocks, which are stored in four bits (NF4) during training.

    Needs bitsandbytes: ``pip install 'sparsebench[qlora]'``. The paper also quantises the scales
    and pages the optimizer; neither is done here.

    The deployed model is plain: the weights, rounded to four bits, plus the updates. Four bits
    save memory in training only.
    """

    Config = QLoRAConfig
    paper: ClassVar[str | None] = "arXiv:2305.14314"
    config: QLoRAConfig

    @property
    def starts_pretrained(self) -> bool:
        """False: rounding to four bits changes the weights."""
        return False

    def refuses(self, family: Family, form: Form) -> str | None:  # noqa: ARG002
        """Refuse everything if bitsandbytes is not installed."""
        if find_spec("bitsandbytes") is None:
            return "qlora needs bitsandbytes: pip install 'sparsebench[qlora]'"
        return None

    def prepare(self, backbone: Backbone) -> nn.Module:
        """Quantise the matrices of the blocks, and attach an update to each.

        Raises:
            UserError: bitsandbytes is not installed, or a matrix does not divide into blocks.
        """
        if reason := self.refuses(backbone.family, backbone.form):
            raise UserError(reason)
        backbone.freeze()
        model: nn.Module = backbone.model
        config = self.config
        generator = torch.Generator().manual_seed(torch.initial_seed())
        updates, holders = {}, {}
        for matrix in backbone.anatomy.matrices():
            rows, columns = matrix.weight(model).shape
            if rows * columns % BLOCK:
                raise UserError(f"qlora: {matrix.name} does not divide into blocks of {BLOCK}")
            holders[matrix.path] = matrix
            updates[matrix] = LowRank(
                (rows, columns),
                rank=config.rank,
                scale=config.alpha / config.rank,
                std=_STD,
                dropout=config.dropout,
                generator=generator,
            )
        for path, matrix in holders.items():
            model.set_submodule(path, Quantized(model.get_submodule(path), matrix))
        attach_branches(model, updates)
        return model

    def deploy(self, model: nn.Module) -> nn.Module:
        """Unpack the weights, and merge the updates into them."""
        found = [(path, m) for path, m in model.named_modules() if isinstance(m, Quantized)]
        for path, module in found:
            model.set_submodule(path, module.plain())
        fold_branches(model)
        return model
