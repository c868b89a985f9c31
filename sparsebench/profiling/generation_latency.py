"""Times greedy generation: the pass that reads the prompt, and the passes for one token each."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch

from sparsebench.profiling.generation import write
from sparsebench.profiling.inference import inference, shapes_of
from sparsebench.profiling.latency import latencies

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor, nn

    from sparsebench.profiling.latency import TimingBudget
    from sparsebench.results.costs import Latency


def writing_times(
    models: Mapping[str, nn.Module],
    inputs: Mapping[str, Tensor],
    *,
    reference: nn.Module | None,
    effort: TimingBudget,
) -> dict[str, tuple[Latency, Latency]]:
    """Times several models, in the same rounds and beside the untouched backbone.

    Every block of rounds begins with the prompt anew; within it the cache grows by a token a round,
    of all models alike.

    Args:
        models: Plain models that write, by name, all on one device.
        inputs: ``input_ids`` and ``attention_mask`` of the prompt, on that device.
        reference: The untouched backbone, on that device.
        effort: How long to measure either.

    Returns:
        By name, the time of the pass that reads the prompt, and that of a pass for one token.
    """
    writers = {name: _Writer(model, inputs) for name, model in models.items()}
    other = None if reference is None else _Writer(reference, inputs)
    everyone = [*writers.values(), *([other] if other else [])]
    common: dict[str, Any] = {
        "device": inputs["input_ids"].device,
        "shapes": shapes_of(inputs),
        "effort": effort,
    }

    def restart() -> None:
        for writer in everyone:
            writer.read()

    with ExitStack() as stack:
        for writer in everyone:
            stack.enter_context(inference(writer.model))
        reading = latencies(
            {name: writer.read for name, writer in writers.items()},
            reference=other.read if other else None,
            **common,
        )
        restart()
        tokens = latencies(
            {name: writer.step for name, writer in writers.items()},
            reference=other.step if other else None,
            between_blocks=restart,
            **common,
        )
    return {name: (reading[name], tokens[name]) for name in models}


@dataclass
class _Writer:
    """A model in the middle of writing."""

    model: Any
    inputs: Mapping[str, Tensor]
    state: dict[str, Any] = field(default_factory=dict)
    token: Tensor | None = None

    def read(self) -> None:
        """Reads the prompt and writes the first token."""
        config = self.model.config
        if config.is_encoder_decoder:
            read = self.model.get_encoder()(**self.inputs)
            ids = self.inputs["input_ids"]
            start = torch.full((len(ids), 1), config.decoder_start_token_id, device=ids.device)
            self.state = {"encoder_outputs": read, "attention_mask": self.inputs["attention_mask"]}
            self._keep(write(self.model, start, state=self.state))
        else:
            self.state = {}
            self._keep(self.model(**self.inputs, use_cache=True, logits_to_keep=1))

    def step(self) -> None:
        """Writes one token more."""
        assert self.token is not None  # noqa: S101 - a block begins with the prompt
        self._keep(write(self.model, self.token, state=self.state))

    def _keep(self, output: Any) -> None:
        self.state["past_key_values"] = output.past_key_values
        self.token = output.logits[:, -1:].argmax(-1)
