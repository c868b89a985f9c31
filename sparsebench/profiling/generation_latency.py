"""Time greedy generation: the pass that reads the prompt, and the passes for one token each."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from sparsebench.profiling.generation import next_token
from sparsebench.profiling.inference import inference, shapes_of
from sparsebench.profiling.latency import latencies

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from sparsebench.profiling.latency import TimingBudget
    from sparsebench.results.costs import Latency


def generation_latency(
    models: Mapping[str, nn.Module],
    inputs: Mapping[str, Tensor],
    *,
    reference: nn.Module | None,
    timing: TimingBudget,
) -> dict[str, tuple[Latency, Latency]]:
    """Time several models in the same rounds, interleaved with the untouched backbone.

    Every block of rounds starts again with the prompt; within a block the cache of all models grows
    by one token a round.

    Args:
        models: Plain models that generate, by name, all on one device.
        inputs: ``input_ids`` and ``attention_mask`` of the prompt, on that device.
        reference: The untouched backbone, on that device.
        timing: The time to spend on each of the two.

    Returns:
        By name, the time of the pass that reads the prompt, and that of a pass for one token.
    """
    generators = {name: _Generator(model, inputs) for name, model in models.items()}
    other = None if reference is None else _Generator(reference, inputs)
    everything = [*generators.values(), *([other] if other else [])]
    common: dict[str, Any] = {
        "device": inputs["input_ids"].device,
        "shapes": shapes_of(inputs),
        "timing": timing,
    }

    def restart() -> None:
        for generator in everything:
            generator.read()

    with ExitStack() as stack:
        for generator in everything:
            stack.enter_context(inference(generator.model))
        reading = latencies(
            {name: generator.read for name, generator in generators.items()},
            reference=other.read if other else None,
            **common,
        )
        restart()
        tokens = latencies(
            {name: generator.step for name, generator in generators.items()},
            reference=other.step if other else None,
            between_blocks=restart,
            **common,
        )
    return {name: (reading[name], tokens[name]) for name in models}


@dataclass
class _Generator:
    """A model during generation."""

    model: Any
    inputs: Mapping[str, Tensor]
    state: dict[str, Any] = field(default_factory=dict)
    token: Tensor | None = None

    def read(self) -> None:
        """Read the prompt and generate the first token."""
        config = self.model.config
        if config.is_encoder_decoder:
            read = self.model.get_encoder()(**self.inputs)
            ids = self.inputs["input_ids"]
            start = torch.full((len(ids), 1), config.decoder_start_token_id, device=ids.device)
            self.state = {"encoder_outputs": read, "attention_mask": self.inputs["attention_mask"]}
            self._keep(next_token(self.model, start, state=self.state))
        else:
            self.state = {}
            self._keep(self.model(**self.inputs, use_cache=True, logits_to_keep=1))

    def step(self) -> None:
        """Generate one more token."""
        assert self.token is not None  # noqa: S101 - a block starts with the prompt
        self._keep(next_token(self.model, self.token, state=self.state))

    def _keep(self, output: Any) -> None:
        self.state["past_key_values"] = output.past_key_values
        self.token = output.logits[:, -1:].argmax(-1)
