"""The forward pass that every cost of inference is measured on: its inputs, mode and logits."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch

from sparsebench.errors import UserError
from sparsebench.models import Form

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from torch import Tensor, nn

    from sparsebench.results.costs import Shapes

_SEED = 0
_DUMMY_SIZE, _DUMMY_LENGTH = 2, 16
_LOGITS = ("logits", "start_logits", "end_logits")


@contextmanager
def inference(model: nn.Module) -> Iterator[None]:
    """Put a model into evaluation mode, without gradients and key-value cache, then restore it.

    A cache serves only the next token; in a single forward pass it is copying that no task needs.
    The configurations of all parts of the model are restored too.
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


def _cache_config(module: nn.Module) -> Any | None:
    config = getattr(module, "config", None)
    return config if hasattr(config, "use_cache") else None


def dummy_inputs(
    config: object,
    *,
    batch_size: int = 1,
    length: int = 128,
    target_length: int | None = None,
    device: torch.device | str = "cpu",
) -> dict[str, Tensor]:
    """Make the inputs of one forward pass: random tokens without padding.

    Args:
        config: The transformers configuration of the model.
        batch_size: Sequences.
        length: Tokens of each sequence.
        target_length: Tokens that the decoder of an encoder-decoder reads; None for ``length``.
            Other models ignore it.
        device: The device of the tensors.

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


def dummy_batch(inputs: dict[str, Tensor], form: Form) -> dict[str, Tensor]:
    """Return the inputs of a forward pass with labels for its loss, which are arbitrary.

    Args:
        inputs: Of ``dummy_inputs``.
        form: The form of the model.
    """
    ids = inputs["input_ids"]
    first = torch.zeros(len(ids), dtype=torch.long, device=ids.device)
    labels = {
        Form.CLASSIFICATION: {"labels": first},
        Form.SPAN: {"start_positions": first, "end_positions": first},
        Form.TEXT_TO_TEXT: {"labels": inputs.get("decoder_input_ids", ids)},
        Form.LANGUAGE_MODEL: {"labels": ids},
    }
    return {**inputs, **labels[form]}


class DummyData:
    """Random batches for a method that looks at training examples, where there are none.

    What it decides by them has the right shapes and no meaning, as the costs of an untrained model
    need it.

    Args:
        model: The transformers model of the view.
        form: Its form.
    """

    def __init__(self, model: Any, form: Form) -> None:
        self._model = model
        self._form = form

    def batches(self, examples: int, size: int | None = None) -> Iterator[dict[str, Tensor]]:
        """Yield batches; see ``sparsebench.method.TrainingData``."""
        size = size or _DUMMY_SIZE
        for start in range(0, examples, size):
            count = min(size, examples - start)
            inputs = dummy_inputs(
                self._model.config,
                batch_size=count,
                length=_DUMMY_LENGTH,
                device=self._model.device,
            )
            yield dummy_batch(inputs, self._form)


def _ids(config: object, batch_size: int, length: int) -> Tensor:
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


def device_of(model: nn.Module) -> torch.device:
    """Return the device of a model's first parameter; the CPU for a model without any."""
    return next((tensor.device for tensor in model.parameters()), torch.device("cpu"))


def runnable_device(model: nn.Module) -> torch.device:
    """Return the device of a model with values.

    Raises:
        UserError: The model is on the meta device.
    """
    device = device_of(model)
    if device.type == "meta":
        raise UserError("a model without values cannot run")
    return device


def shapes_of(inputs: Mapping[str, Tensor]) -> Shapes:
    """Return the shape of every input, by name."""
    return {name: tuple(tensor.shape) for name, tensor in inputs.items()}


def output_logits(output: Any) -> tuple[Tensor, ...]:
    """Return the logits of a model's output; of a span head, those of start and end.

    Args:
        output: What a model returned: a tensor, or a mapping with logits.
    """
    if isinstance(output, torch.Tensor):
        return (output,)
    return tuple(output[name] for name in _LOGITS if name in output)


def largest_difference(exact: Sequence[Tensor], other: Sequence[Tensor]) -> float:
    """Return the largest difference of two outputs, as a share of the largest entry of ``exact``.

    Args:
        exact: Logits.
        other: Logits of the same shapes.
    """
    pairs = [(a.double(), b.double()) for a, b in zip(exact, other, strict=True)]
    difference = max(float((a - b).abs().max()) for a, b in pairs)
    return difference / (max(float(a.abs().max()) for a, _ in pairs) or 1.0)


def relative_error(
    exact: Sequence[Tensor], other: Sequence[Tensor], *, mask: Tensor | None
) -> float:
    """Return the norm of the difference of two outputs over the norm of ``exact``.

    Args:
        exact: Logits.
        other: Logits of the same shapes.
        mask: Boolean ``[batch, tokens]``; logits with these first axes are compared where it is
            True.
    """
    pairs = [
        (_without_padding(a, mask).double(), _without_padding(b, mask).double())
        for a, b in zip(exact, other, strict=True)
    ]
    squared = sum(float((a - b).square().sum()) for a, b in pairs)
    whole = sum(float(a.square().sum()) for a, _ in pairs)
    return float((squared / whole) ** 0.5) if whole else 0.0


def _without_padding(logits: Tensor, mask: Tensor | None) -> Tensor:
    if mask is None or logits.shape[: mask.dim()] != mask.shape:
        return logits
    return logits[mask]
