"""AdaLoRA's rank allocation (arXiv:2303.10512), on PEFT's layers, in shares of the run.

PEFT allocates ranks directly after an optimizer step, from the gradients of that step, and counts
steps. Here the allocation happens before the next step, from the same gradients, and a step is a
share of ``total_step``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor, nn

_FACTORS = ("lora_A", "lora_B", "lora_E")


@dataclass
class _Factor:
    """One of the three factors of a layer's update, with its statistics.

    Attributes:
        name: Its name in the allocator.
        layer: The layer. Its buffers hold the running means of importance and, once the layer is
            saved, the last gradient.
        kind: One of ``_FACTORS``.
        gradient: The last gradient, which the training loop drops before the next step.
    """

    name: str
    layer: nn.Module
    kind: str
    gradient: Tensor | None = None

    @property
    def parameter(self) -> nn.Parameter:
        found: nn.Parameter = getattr(self.layer, self.kind)["default"]
        return found

    def last_gradient(self) -> Tensor:
        """Return the gradient of the last step, from the checkpoint if the run was just resumed."""
        return self.memory("gradient").clone() if self.gradient is None else self.gradient

    def memory(self, what: str) -> Tensor:
        """Return a buffer: ``sensitivity``, ``uncertainty`` or ``gradient``."""
        found: Tensor = getattr(self.layer, f"{what}_{self.kind[-1]}")
        return found

    def remember(self) -> None:
        """Register the buffers."""
        import torch

        for what in ("sensitivity", "uncertainty", "gradient"):
            zeros = torch.zeros_like(self.parameter, requires_grad=False)
            self.layer.register_buffer(f"{what}_{self.kind[-1]}", zeros)
        hooked: Any = self.layer
        hooked.register_state_dict_pre_hook(self._save_gradient)

    def watch(self) -> None:
        """Keep every gradient from now on."""
        hooked: Any = self.parameter
        hooked.register_post_accumulate_grad_hook(self._keep_gradient)

    def _keep_gradient(self, parameter: Tensor) -> None:
        self.gradient = parameter.grad

    def _save_gradient(self, *_: object) -> None:
        if self.gradient is not None:
            self.memory("gradient").copy_(self.gradient)


class RankSchedule:
    """Prunes singular values from ``tinit`` on, and fixes the remaining ones from ``tfinal`` on.

    The remaining ranks and the importance of each factor are buffers of the layers, so that a
    resumed run equals one that was not interrupted.

    Args:
        adapted: The ``peft.PeftModel`` of an AdaLoRA adapter.
    """

    def __init__(self, adapted: Any) -> None:
        import torch

        self._tuner = adapted.base_model
        self._config = adapted.active_peft_config
        self._factors = list(_factors(self._tuner.model))
        self._layers: list[Any] = [f.layer for f in self._factors if f.kind == "lora_E"]
        self._watching = False
        for factor in self._factors:
            factor.remember()
        for layer in self._layers:
            values = layer.lora_E["default"]
            layer.register_buffer("kept", torch.ones_like(values, dtype=torch.bool))

    def is_final(self, progress: float) -> bool:
        """Whether the ranks are fixed."""
        return self._step(progress) >= self._fixed_from

    def advance(self, progress: float) -> None:
        """Allocate ranks after the step that ended at ``progress``."""
        import torch

        if not self._watching:
            self._watching = True
            for factor in self._factors:
                factor.watch()
        if progress == 0 or self._config.init_r <= self._config.target_r:
            return  # before the first step, or nothing to prune
        step = self._step(progress)
        if all(bool(layer.kept.all()) for layer in self._layers):
            self._allocate(min(step, self._fixed_from))
            if step < self._fixed_from:
                return
            for layer in self._layers:
                layer.kept.copy_(layer.lora_E["default"] != 0)
        with torch.no_grad():
            for layer in self._layers:
                layer.lora_E["default"].masked_fill_(~layer.kept, 0.0)

    def penalty(self) -> Tensor:
        """Return the weighted mean distance of the singular vectors from orthogonality."""
        import torch

        terms = []
        for layer in self._layers:
            for vectors in (layer.lora_A["default"], layer.lora_B["default"].T):
                gram = vectors @ vectors.T
                terms.append(torch.linalg.norm(gram - torch.eye(len(gram), device=gram.device)))
        weight: float = self._config.orth_reg_weight
        return torch.stack(terms).mean() * weight

    @property
    def _fixed_from(self) -> int:
        return int(self._config.total_step - self._config.tfinal)

    def _step(self, progress: float) -> int:
        return round(progress * int(self._config.total_step))

    def _allocate(self, step: int) -> None:
        allocator = self._tuner.rankallocator
        for factor in self._factors:
            factor.parameter.grad = factor.last_gradient()
            allocator.ipt[factor.name] = factor.memory("sensitivity")
            allocator.exp_avg_ipt[factor.name] = factor.memory("sensitivity")
            allocator.exp_avg_unc[factor.name] = factor.memory("uncertainty")
        allocator.update_ipt(self._tuner.model)
        for factor in self._factors:
            factor.memory("sensitivity").copy_(allocator.exp_avg_ipt[factor.name])
            factor.memory("uncertainty").copy_(allocator.exp_avg_unc[factor.name])
        budget, is_due = allocator.budget_schedule(step)
        if is_due or step == self._fixed_from:
            allocator.mask_to_budget(self._tuner.model, budget)
        for factor in self._factors:
            factor.parameter.grad = None


def _factors(model: nn.Module) -> Iterator[_Factor]:
    from peft.tuners.adalora import AdaLoraLayer

    for name, layer in model.named_modules():
        if isinstance(layer, AdaLoraLayer):
            for kind in _FACTORS:
                yield _Factor(f"{name}.{kind}.default", layer, kind)
