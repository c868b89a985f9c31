"""Count the arithmetic of greedy generation: one pass for the prompt, then one for each token.

The passes for one token differ only in attention, which sees one more key each time. So the sum of
all passes follows exactly from the first and the last.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from sparsebench.models import anatomy_of
from sparsebench.profiling.closed_form import closed_form, closed_form_of_a_token
from sparsebench.profiling.flops import count_flops
from sparsebench.profiling.inference import device_of, dummy_inputs
from sparsebench.results.costs import Generation

if TYPE_CHECKING:
    from torch import Tensor

    from sparsebench.results.costs import Flops


def count_generation(model: nn.Module, *, prompt: int, tokens: int) -> Generation | None:
    """Count the multiply-adds of generating ``tokens`` tokens after a prompt, for one sequence.

    Args:
        model: A plain model of one of the four families; on the meta device too.
        prompt: Tokens of the prompt.
        tokens: New tokens.

    Returns:
        The counts; None for a model that does not generate.

    Raises:
        ValueError: The model is wrapped by the PEFT library, or ``tokens`` is under 1.
    """
    if hasattr(model, "get_base_model"):
        raise ValueError("generation under an adapter is not measured")
    if tokens < 1:
        raise ValueError(f"{tokens} tokens cannot be generated")
    plain: Any = model
    if not plain.can_generate():
        return None
    device = device_of(model)
    two_stacks = bool(plain.config.is_encoder_decoder)
    inputs = dummy_inputs(plain.config, length=prompt, target_length=1, device=device)
    first = count_flops(model if two_stacks else _LastToken(model), inputs)
    begin = 1 if two_stacks else prompt
    steps = [_step(model, prompt=prompt, cached=begin + turn) for turn in (0, max(0, tokens - 2))]
    formulas = [
        closed_form_of_a_token(model, prompt=prompt, cached=begin + turn)
        for turn in (0, max(0, tokens - 2))
    ]
    return Generation(
        prompt=prompt,
        tokens=tokens,
        prefill=first.matrix,
        decode=(tokens - 1) * sum(step.matrix for step in steps) // 2,
        prefill_closed_form=closed_form(model, first.shapes, last_token_only=True),
        decode_closed_form=(tokens - 1) * sum(formulas) // 2,
        uncounted=tuple(sorted({name for part in (first, *steps) for name in part.uncounted})),
    )


class _LastToken(nn.Module):
    """A language model that returns the logits of the last token only, as in generation."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, **inputs: Tensor) -> Any:
        return self.model(**inputs, logits_to_keep=1)


class _OneToken(nn.Module):
    """A model that reads one token, with a cache as tensors."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, token: Tensor, **cached: Tensor) -> Any:
        return next_token(self.model, token, state=_state(cached)).logits


def next_token(model: Any, token: Tensor, *, state: dict[str, Any]) -> Any:
    """Run one pass for one token and return the output of the model.

    Args:
        model: A plain model that generates.
        token: The last token of each sequence ``[batch, 1]``.
        state: The cache, and for an encoder-decoder the output of the encoder.
    """
    name = "decoder_input_ids" if model.config.is_encoder_decoder else "input_ids"
    return model(**{name: token}, **state, use_cache=True)


def _step(model: nn.Module, *, prompt: int, cached: int) -> Flops:
    """Count one pass for one token."""
    plain: Any = model
    like = next(model.parameters())
    inputs = {"token": torch.zeros(1, 1, dtype=torch.long, device=like.device)}
    if plain.config.is_encoder_decoder:
        inputs["encoder"] = like.new_zeros(1, prompt, plain.config.d_model)
    blocks = [block for block in anatomy_of(model).blocks if block.stack == "decoder"]
    for index, block in enumerate(blocks):
        for part in block.attentions:
            keys = prompt if part.cross else cached
            tensor = like.new_zeros(1, part.heads, keys, part.head_size)
            inputs[f"{'cross' if part.cross else 'self'} {index}"] = tensor
    return count_flops(_OneToken(model), inputs)


def _state(tensors: dict[str, Tensor]) -> dict[str, Any]:
    """Build the library's cache from keys, used as values too, since only shapes matter."""
    from transformers import DynamicCache, EncoderDecoderCache
    from transformers.modeling_outputs import BaseModelOutput

    caches = {"self": DynamicCache(), "cross": DynamicCache()}
    for name, tensor in tensors.items():
        kind, _, index = name.partition(" ")
        if kind in caches:
            caches[kind].update(tensor, tensor, int(index))
    if "encoder" not in tensors:
        return {"past_key_values": caches["self"]}
    both = EncoderDecoderCache(caches["self"], caches["cross"])
    read = BaseModelOutput(last_hidden_state=tensors["encoder"])
    return {"past_key_values": both, "encoder_outputs": read}
