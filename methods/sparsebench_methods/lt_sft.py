"""Lottery-ticket sparse fine-tuning: the weights that moved most train again, alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import torch
from pydantic import Field

from sparsebench import Backbone, Method, MethodConfig, Role, Stage, TrainingData
from sparsebench.models import anatomy_of
from sparsebench.sparsity import Scope
from sparsebench.sparsity.branches import attach_branches, fold_branches
from sparsebench_methods.sparse_mask import sparse_updates

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import nn

_COPY = "pretrained_"
"""Prefix of the attribute beside a parameter that holds its pretrained values."""


class LTSFTConfig(MethodConfig):
    """Settings of ``lt_sft``."""

    density: float = Field(default=0.02, gt=0, le=1)
    """The share of the weights of the chosen matrices that trains in the second stage."""

    tune_share: float = Field(default=0.5, gt=0, lt=1)
    """The share of the budget of the first stage, in which everything trains."""

    sparse_rate: float = Field(default=10.0, gt=0)
    """A factor on all peak learning rates in the second stage, that of the task head included."""

    scope: Scope = Scope.GLOBAL
    """Whether weights compete across all matrices or within each."""

    targets: tuple[Role, ...] = Field(default=tuple(Role), min_length=1)
    """The matrices that weights are chosen from, by role."""


class LTSFT(Method):
    """Tunes everything, then only the weights that moved most, from their pretrained values.

    The first stage is full fine-tuning. The weights of the blocks with the largest change
    ``|w - w0|`` are chosen, and every parameter, the task head included, returns to the value that
    it had before training. The second stage trains an update of the chosen weights, stored as
    values and positions, and the task head. Both stages share the budget of the run.

    As in the authors' code, the head is reset and weights compete across the whole model. There,
    embeddings, biases and normalisation can be chosen as well; here they are frozen in the second
    stage.
    """

    Config = LTSFTConfig
    paper = "arXiv:2110.07560"
    profile_settings: ClassVar[Mapping[str, Any]] = {"scope": Scope.PER_MATRIX.value}
    config: LTSFTConfig

    def prepare(self, backbone: Backbone) -> nn.Module:
        """Let everything train, and keep the pretrained values."""
        model: nn.Module = backbone.model.requires_grad_(requires_grad=True)
        keep_values(model)
        return model

    def stages(self) -> tuple[Stage, Stage]:
        """Return the two stages, which share one budget."""
        config = self.config
        sparse = Stage("sparse", 1 - config.tune_share, learning_rate=config.sparse_rate)
        return Stage("tune", config.tune_share), sparse

    def begin_stage(self, model: nn.Module, stage: Stage, data: TrainingData) -> None:  # noqa: ARG002
        """Before the second stage choose the weights, reset all of them and add the update."""
        if stage.name == "tune":
            return
        config = self.config
        matrices = list(anatomy_of(model).matrices(*config.targets))
        with torch.no_grad():
            changes = {matrix: matrix.weight(model).clone() for matrix in matrices}
            restore_values(model)
            for matrix, change in changes.items():
                change.sub_(matrix.weight(model)).abs_()
        for parameter in model.parameters():
            parameter.requires_grad_(getattr(parameter, "task_head", False))
        attach_branches(model, sparse_updates(changes, share=config.density, scope=config.scope))

    def deploy(self, model: nn.Module) -> nn.Module:
        """Add the updates to the weights."""
        fold_branches(model)
        return model


def keep_values(model: nn.Module) -> None:
    """Copy every parameter into an attribute of its module.

    The copies are no buffers: they stay on the device on which the model is prepared (the CPU), and
    neither checkpoints nor the processes of a distributed run exchange them. A resumed run copies
    the same values again.
    """
    for name, parameter in model.named_parameters():
        path, _, leaf = name.rpartition(".")
        setattr(model.get_submodule(path), _COPY + leaf, parameter.detach().clone())


@torch.no_grad()
def restore_values(model: nn.Module) -> None:
    """Write the values that ``keep_values`` has copied back, and remove the copies."""
    for module in model.modules():
        for leaf, parameter in module.named_parameters(recurse=False):
            if _COPY + leaf in vars(module):
                parameter.copy_(vars(module).pop(_COPY + leaf))
