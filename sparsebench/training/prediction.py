"""Predict with a model, and collate examples: the same for every method."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sparsebench.models.families import GENERATING, IGNORED, Form
from sparsebench.schema.training import GenerationSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from datasets import Dataset
    from torch import Tensor, nn
    from transformers import PreTrainedTokenizerBase

EXTRA = ("length", "example", "starts", "ends", "nothing")
"""Columns of features that are no input of a model."""

TARGETS = ("labels", "start_positions", "end_positions")
"""Columns of features that hold the targets."""

BEAM_BATCH = 640
"""The most texts that generation keeps at a time: all beams of all examples."""


class NonFiniteOutputError(ArithmeticError):
    """The model's logits are NaN or infinite."""


def collator_for(
    tokenizer: PreTrainedTokenizerBase, form: Form, *, length: int | None = None
) -> Callable[..., dict[str, Tensor]]:
    """Return a collator for training: it pads features to one length and makes tensors.

    Labels that are sequences are padded with ``IGNORED``.

    Args:
        tokenizer: The backbone's tokenizer.
        form: The task form.
        length: The tokens to pad to; None for those of the longest input of a batch. Where an input
            or a target is longer, that decides.
    """
    from transformers import DataCollatorForSeq2Seq, DataCollatorWithPadding

    kind = DataCollatorForSeq2Seq if form in GENERATING else DataCollatorWithPadding

    pad = kind(tokenizer)

    def collate(features: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
        rows = [_without(row, EXTRA) for row in features]
        if length is None:
            return dict(pad(rows))
        padded = ["input_ids", *(["labels"] if form in GENERATING else [])]
        longest = max(len(row[name]) for row in rows for name in padded)
        return dict(kind(tokenizer, padding="max_length", max_length=max(length, longest))(rows))

    return collate


def input_collator_for(
    tokenizer: PreTrainedTokenizerBase, form: Form
) -> Callable[..., dict[str, Tensor]]:
    """Return a collator for prediction; a text that the model continues is padded on the left."""
    side = "left" if form is Form.LANGUAGE_MODEL else tokenizer.padding_side

    def collate(features: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
        rows = [_without(row, (*EXTRA, *TARGETS)) for row in features]
        return dict(tokenizer.pad(rows, padding_side=side, return_tensors="pt"))

    return collate


def _without(row: dict[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in names}


def forward_batches(
    model: Any,
    features: Dataset,
    *,
    tokenizer: PreTrainedTokenizerBase,
    form: Form,
    batch_size: int = 16,
) -> list[dict[str, Tensor]]:
    """Return the inputs of forward passes over examples, as in training but without targets.

    A decoder reads the reference text, shifted by one token (teacher forcing).

    Args:
        model: The model, on the device to compute on.
        features: The output of ``Task.encode``.
        tokenizer: The model's tokenizer.
        form: The task form of the model.
        batch_size: Examples per forward pass.
    """
    collate = collator_for(tokenizer, form)
    batches = []
    for start in range(0, len(features), batch_size):
        batch = collate(list(features.select(range(start, min(start + batch_size, len(features))))))
        targets = {name: batch.pop(name) for name in TARGETS if name in batch}
        if form is Form.TEXT_TO_TEXT:
            labels = targets["labels"]
            batch["decoder_input_ids"] = model.prepare_decoder_input_ids_from_labels(labels)
            batch["decoder_attention_mask"] = (labels != IGNORED).long()
        batches.append({name: value.to(_device(model)) for name, value in batch.items()})
    return batches


def predict(
    model: nn.Module,
    features: Dataset,
    *,
    tokenizer: PreTrainedTokenizerBase,
    form: Form,
    batch_size: int = 64,
    max_answer_tokens: int = 16,
    generation: GenerationSettings | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[Any]:
    """Predict every example with a model in evaluation mode, the longest first.

    Args:
        model: The model, on the device to compute on.
        features: The output of ``Task.encode_inputs``.
        tokenizer: The model's tokenizer.
        form: The task form of the model.
        batch_size: Examples per forward pass; fewer if beam search would keep too many texts.
        max_answer_tokens: The most tokens to generate, if text is generated.
        generation: Settings of generation; None for greedy.
        on_progress: Called with the examples done and the total.

    Returns:
        One output per feature, in order: logits ``[labels]``, or ``[2, tokens]`` of start and end,
        as fp32 NumPy arrays, or the generated text.

    Raises:
        NonFiniteOutputError: A logit is NaN or infinite.
    """
    import torch

    collate = input_collator_for(tokenizer, form)
    terms = generation or GenerationSettings()
    predict_batch = _batch_predictor(model, tokenizer, form, max_answer_tokens, terms)
    if form in GENERATING:
        batch_size = max(1, min(batch_size, BEAM_BATCH // terms.beams))
    outputs: list[Any] = [None] * len(features)
    training = model.training
    model.eval()
    done = 0
    with torch.inference_mode():
        for indices in _by_length(features, batch_size):
            batch = collate([features[i] for i in indices])
            batch = {name: value.to(_device(model)) for name, value in batch.items()}
            for index, output in zip(indices, predict_batch(batch), strict=True):
                outputs[index] = output
            done += len(indices)
            if on_progress:
                on_progress(done, len(features))
    model.train(training)
    return outputs


def _batch_predictor(
    model: Any,
    tokenizer: PreTrainedTokenizerBase,
    form: Form,
    max_answer_tokens: int,
    terms: GenerationSettings,
) -> Callable[[dict[str, Tensor]], list[Any]]:
    """Return the function that predicts one batch: generated texts or logits."""
    import torch

    def generated(batch: dict[str, Tensor]) -> list[str]:
        batch.pop("token_type_ids", None)
        ids = model.generate(
            **batch,
            max_new_tokens=max_answer_tokens,
            do_sample=False,
            num_beams=terms.beams,
            length_penalty=terms.length_penalty,
            no_repeat_ngram_size=terms.no_repeat_ngram,
            use_cache=True,
            pad_token_id=tokenizer.pad_token_id,
        )
        if form is Form.LANGUAGE_MODEL:
            ids = ids[:, batch["input_ids"].shape[1] :]
        return list(tokenizer.batch_decode(ids, skip_special_tokens=True))

    def logits(batch: dict[str, Tensor]) -> list[Any]:
        output = model(**batch)
        if form is Form.SPAN:
            values = torch.stack([output.start_logits, output.end_logits], dim=1).float()
        else:
            values = output.logits.float()
        if not values.isfinite().all():
            raise NonFiniteOutputError("the model's logits are not finite")
        return list(values.cpu().numpy())

    return generated if form in GENERATING else logits


def _by_length(features: Dataset, batch_size: int) -> Iterator[list[int]]:
    lengths = [len(ids) for ids in features["input_ids"]]
    order = sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True)
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]


def _device(model: nn.Module) -> Any:
    return next(model.parameters()).device
