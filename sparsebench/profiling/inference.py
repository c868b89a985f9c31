"""The one way in which every cost of inference is measured: evaluation, no gradient, no cache."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from sparsebench.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import nn

    from sparsebench.results.costs import Shapes

_SEED = 0


@contextmanager
def inference(model: nn.Module) -> Iterator[None]:
    """Puts a model into evaluation mode, without gradients and key-value cache, and back.

    A cache is only of use to the next token; in a single forward pass it is copying that no task
    asks for. The configurations of all parts of the model are restored afterwards.
    """
    modules = list(model.modules())
    training = [module.training for module in modules]
    configs = {id(config): config for module in modules if (config := _cache_config(module))}
    cached = {key: config.use_cache for key, config in configs.items()}
    model.eval()
    for config in configs.values():
        config.use_cache = False
    try:
        with torch.no_grad():
            yield
    finally:
        for key, config in configs.items():
            config.use_cache = cached[key]
        for module, mode in zip(modules, training, strict=True):
            module.training = mode


def dummy_inputs(
    config: object,
    *,
    batch_size: int = 1,
    length: int = 128,
    target_length: int | None = None,
    device: torch.device | str = "cpu",
) -> dict[str, torch.Tensor]:
    """Makes the inputs of one forward pass, without padding.

    Args:
        config: The transformers configuration of the model.
        batch_size: Sequences.
        length: Tokens of each.
        target_length: Tokens that the decoder reads, of an encoder-decoder; ``length`` where
            None. Other models have no use for it.
        device: Where the tensors shall be.

    Returns:
        ``input_ids`` and ``attention_mask`` ``[batch_size, length]``, and for an encoder-decoder
        ``decoder_input_ids`` ``[batch_size, target_length]``.

    Raises:
        UserError: The model has fewer positions than ``length``.
    """
    _check_length(config, length)
    inputs = {"input_ids": _ids(config, batch_size, length)}
    inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])
    if getattr(config, "is_encoder_decoder", False):
        inputs["decoder_input_ids"] = _ids(config, batch_size, target_length or length)
    return {name: tensor.to(device) for name, tensor in inputs.items()}


def shapes_of(inputs: Mapping[str, torch.Tensor]) -> Shapes:
    """Returns the shape of every input, by name."""
    return {name: tuple(tensor.shape) for name, tensor in inputs.items()}


def _ids(config: object, batch_size: int, length: int) -> torch.Tensor:
    vocabulary: int = config.vocab_size  # type: ignore[attr-defined]
    generator = torch.Generator().manual_seed(_SEED)
    ids = torch.randint(vocabulary, (batch_size, length), generator=generator)
    padding = getattr(config, "pad_token_id", None)
    return ids if padding is None else torch.where(ids == padding, (ids + 1) % vocabulary, ids)


def _check_length(config: object, length: int) -> None:
    positions = getattr(config, "max_position_embeddings", None)
    if positions is None:
        return
    if getattr(config, "model_type", None) == "roberta":
        positions -= config.pad_token_id + 1  # type: ignore[attr-defined]
    if length > positions:
        raise UserError(
            f"a sequence of {length} tokens is too long for a model with {positions} positions: "
            "ask for shorter ones (--lengths, or costs.length in a suite)"
        )


def _cache_config(module: nn.Module) -> Any | None:
    config = getattr(module, "config", None)
    return config if hasattr(config, "use_cache") else None
