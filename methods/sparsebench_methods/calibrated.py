"""Pruning by the inputs that matrices get from some training examples, block by block."""

from __future__ import annotations

from abc import abstractmethod
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self

import torch
from pydantic import Field, model_validator

from sparsebench import Method, Role, Stage, TrainingData
from sparsebench.models import IGNORED, anatomy_of
from sparsebench.sparsity import Masked, Pattern, attach, prune
from sparsebench_methods.lora_magnitude import MaskedLoRA
from sparsebench_methods.scheduled import PatternConfig

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from torch import Tensor, nn

    from sparsebench import Backbone
    from sparsebench.models.anatomy import Block

_BATCH = 8


class Retune(StrEnum):
    """The part of a model that trains after pruning."""

    WEIGHTS = "weights"
    """Every weight that is left, and all that is no matrix of a block."""

    LORA = "lora"
    """A low-rank update under the mask, so that merging it fills no zero, and the task head."""


class CalibratedConfig(PatternConfig):
    """Settings of pruning from calibration data."""

    sparsity: float = Field(default=0.5, ge=0, lt=1)
    """The share of the weights of every matrix of the blocks that is pruned."""

    pattern: Pattern = Pattern.UNSTRUCTURED
    """``unstructured``, or ``2:4``, a sparsity of 0.5."""

    examples: int = Field(default=128, ge=1)
    """Training examples to prune by; they cost steps of the budget."""

    tune_share: float = Field(default=0.5, ge=0, lt=1)
    """The share of the budget before pruning, in which everything trains; 0 prunes the pretrained
    weights."""

    retune: Retune = Retune.WEIGHTS
    """What trains after pruning: ``weights`` or ``lora``."""

    rank: int = Field(default=8, ge=1)
    """Rank of the update of every matrix, with ``retune: lora``."""

    alpha: float = Field(default=16.0, gt=0)
    """The update is scaled by ``alpha / rank``."""

    @model_validator(mode="after")
    def _known_pattern(self) -> Self:
        if self.pattern is Pattern.STRUCTURED:
            raise ValueError("the pattern is unstructured or 2:4: for heads and neurons use dsee")
        return self


class CalibratedPruning(Method):
    """Tunes everything, prunes at once by the inputs of every matrix, and tunes what is left.

    A subclass prunes one matrix. Blocks are pruned in order: the inputs of a block are those that
    it gets from the blocks pruned before it, as in the code of both papers. Padding is no input.
    """

    config: CalibratedConfig

    @property
    def target_sparsity(self) -> float:
        """The sparsity in the settings."""
        return self.config.sparsity

    def stages(self) -> Sequence[Stage]:
        """Return the stages before and after pruning."""
        share = self.config.tune_share
        stages = (Stage("tune", share), Stage("retune", 1 - share))
        return [stage for stage in stages if stage.share > 0]

    def prepare(self, backbone: Backbone) -> nn.Module:
        """Let everything train."""
        model: nn.Module = backbone.model.requires_grad_(requires_grad=True)
        return model

    def begin_stage(self, model: nn.Module, stage: Stage, data: TrainingData) -> None:
        """Prune before the second stage."""
        if stage.name != "retune":
            return
        if self.config.retune is Retune.LORA:
            for parameter in model.parameters():
                parameter.requires_grad_(getattr(parameter, "task_head", False))
        attach(model, {m: self._map(m.weight(model)) for m in anatomy_of(model).matrices()})
        batches = list(data.batches(self.config.examples, size=_BATCH))
        with torch.no_grad():
            for block in anatomy_of(model).blocks:
                self._prune_block(model, block, batches)

    def _map(self, weight: Tensor) -> Masked:
        config = self.config
        if config.retune is Retune.LORA:
            return MaskedLoRA(weight, rank=config.rank, scale=config.alpha / config.rank)
        return Masked(weight)

    def _prune_block(
        self, model: nn.Module, block: Block, batches: Sequence[Mapping[str, Tensor]]
    ) -> None:
        statistics = self._statistics(model, block, batches)
        for matrix in block.matrices:
            module: Any = matrix.module(model)
            weight, mask = matrix.weight(model), module.maps[matrix.role.value].mask
            kept, values = self.prune_matrix(weight.float(), statistics[matrix.path])
            mask.copy_(kept)
            weight.copy_(values)

    def _statistics(
        self, model: nn.Module, block: Block, batches: Sequence[Mapping[str, Tensor]]
    ) -> dict[str, Tensor]:
        """Return the mean of ``statistic`` over all inputs of each module of a block."""
        sums: dict[str, Tensor] = {}
        counts: dict[str, int] = {}
        for batch in batches:
            for path, inputs in block_inputs(model, block, batch).items():
                sums[path] = sums.get(path, 0.0) + self.statistic(inputs)
                counts[path] = counts.get(path, 0) + len(inputs)
        return {path: total / counts[path] for path, total in sums.items()}

    @abstractmethod
    def statistic(self, inputs: Tensor) -> Tensor:
        """Return what is to be known of inputs ``[tokens, in]``, summed over the tokens."""

    @abstractmethod
    def prune_matrix(self, weight: Tensor, mean: Tensor) -> tuple[Tensor, Tensor]:
        """Prune a matrix.

        Args:
            weight: The matrix ``[out, in]``, in fp32.
            mean: The mean of ``statistic`` over the inputs.

        Returns:
            The mask, boolean ``[out, in]``, True where a weight stays; and the new weights.
        """

    def deploy(self, model: nn.Module) -> nn.Module:
        """Write the zeros into the weights, with a merged update if there is one."""
        prune(model)
        return model


def block_inputs(model: Any, block: Block, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the inputs ``[tokens, in]`` of each module of a block, in one forward pass.

    Args:
        model: The model.
        block: The block.
        batch: The batch, labels included.
    """
    found: dict[str, Tensor] = {}
    handles = []

    def saver(path: str, tokens: Tensor) -> Callable[..., None]:
        def save(_: nn.Module, inputs: tuple[Tensor, ...]) -> None:
            found[path] = inputs[0][tokens].float()

        return save

    has_encoder = bool(getattr(model.config, "is_encoder_decoder", False))
    for path, tokens in _tokens(block, batch, has_encoder=has_encoder):
        module = model.get_submodule(path)
        handles.append(module.register_forward_pre_hook(saver(path, tokens)))
    try:
        model(**batch)
    finally:
        for handle in handles:
            handle.remove()
    return found


def _tokens(
    block: Block, batch: Mapping[str, Tensor], *, has_encoder: bool
) -> Iterator[tuple[str, Tensor]]:
    """Yield each module of a block with the mask of the tokens that it reads."""
    read = batch["attention_mask"].bool()
    own = batch["labels"] != IGNORED if has_encoder and block.stack == "decoder" else read
    for attention in block.attentions:
        for matrix in attention.matrices:
            other = attention.cross and matrix.role in {Role.KEY, Role.VALUE}
            yield matrix.path, read if other else own
    for matrix in block.ffn.matrices if block.ffn else ():
        yield matrix.path, own
