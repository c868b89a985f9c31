"""AdaLoRA's rank allocation (arXiv:2303.10512), on PEFT's layers, in shares of the run.

PEFT allocates ranks right after an optimizer step, from the gradients of that step, by counting
steps. Here it happens before the next step, which is the same, on the gradients that the last
backward pass left, and a step is a share of ``total_step``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


class RankSchedule:
    """Prunes singular values from ``tinit`` on, and keeps those that are left from ``tfinal`` on.

    Which ranks were kept is a buffer of every layer, so that a resumed run has it too; the running
    mean of importance is not, and starts anew when a run is resumed before ``tfinal``.

    Args:
        adapted: The ``peft.PeftModel`` of an AdaLoRA adapter.
    """

    def __init__(self, adapted: Any) -> None:
        import torch
        from peft.tuners.adalora import AdaLoraLayer

        self._tuner = adapted.base_model
        self._config = adapted.active_peft_config
        self._layers = [m for m in adapted.modules() if isinstance(m, AdaLoraLayer)]
        self._gradients: dict[Tensor, Tensor] = {}
        for layer in self._layers:
            values = layer.lora_E["default"]
            layer.register_buffer("kept", torch.ones_like(values, dtype=torch.bool))

    def is_final(self, progress: float) -> bool:
        """Whether the ranks are fixed."""
        return self._step(progress) >= self._fixed_from

    def advance(self, progress: float) -> None:
        """Allocates ranks after the step that brought the run to ``progress``."""
        import torch

        if not self._gradients:
            self._watch_gradients()
        step = self._step(progress)
        if self._config.init_r <= self._config.target_r:
            return  # there is nothing to prune
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
        """Returns the mean distance of the singular vectors from orthogonality, weighted."""
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

    def _watch_gradients(self) -> None:
        """Keeps hold of gradients that the training loop lets go of before the next step."""
        for layer in self._layers:
            for group in (layer.lora_A, layer.lora_B, layer.lora_E):
                parameter = group["default"]
                self._gradients[parameter] = parameter.new_zeros(())
                parameter.register_post_accumulate_grad_hook(self._keep_gradient)

    def _keep_gradient(self, parameter: Tensor) -> None:
        assert parameter.grad is not None  # noqa: S101 - it was just accumulated
        self._gradients[parameter] = parameter.grad

    def _allocate(self, step: int) -> None:
        if any(gradient.ndim == 0 for gradient in self._gradients.values()):
            return  # no step was taken yet
        for parameter, gradient in self._gradients.items():
            parameter.grad = gradient
        if step == self._fixed_from:  # PEFT does not look at the gradients of this step
            self._tuner.rankallocator.update_ipt(self._tuner.model)
        self._tuner.update_and_allocate(step)
        for parameter in self._gradients:
            parameter.grad = None
