"""What a model answers: plain prediction loops, the same for every method."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sparsebench.models.families import Form

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from datasets import Dataset
    from torch import Tensor, nn
    from transformers import PreTrainedTokenizerBase

EXTRA = ("length",)
"""Columns of features that a model does not take."""


class NonFiniteOutputError(ArithmeticError):
    """The model answered with NaN or infinity."""


def collator_for(
    tokenizer: PreTrainedTokenizerBase, form: Form
) -> Callable[..., dict[str, Tensor]]:
    """Returns what pads a list of features to the longest and makes tensors of it.

    Labels that are sequences are padded with -100, which no loss counts.
    """
    from transformers import DataCollatorForSeq2Seq, DataCollatorWithPadding

    kind = DataCollatorForSeq2Seq if form is Form.TEXT_TO_TEXT else DataCollatorWithPadding
    pad = kind(tokenizer)

    def collate(features: Sequence[dict[str, Any]]) -> dict[str, Tensor]:
        rows = [{k: v for k, v in row.items() if k not in EXTRA} for row in features]
        return dict(pad(rows))

    return collate


def predict(
    model: nn.Module,
    features: Dataset,
    *,
    tokenizer: PreTrainedTokenizerBase,
    form: Form,
    batch_size: int = 64,
    max_answer_tokens: int = 16,
    on_progress: Callable[[int, int], None] | None = None,
) -> list[Any]:
    """Predicts every example with a model in evaluation mode, the longest first.

    Args:
        model: A model that answers in ``form``, on the device to compute on.
        features: What ``Task.encode`` made.
        tokenizer: The model's tokenizer.
        form: How the model answers.
        batch_size: Examples a forward pass.
        max_answer_tokens: The most tokens to generate, where text is generated.
        on_progress: Is told examples done and examples in all.

    Returns:
        One output an example, in the order of ``features``: the logits ``[labels]`` in fp32 as a
        NumPy array, or the generated text.

    Raises:
        NonFiniteOutputError: A logit is NaN or infinite.
    """
    import torch

    collate = collator_for(tokenizer, form)
    outputs: list[Any] = [None] * len(features)
    training = model.training
    model.eval()
    done = 0
    with torch.inference_mode():
        for indices in _by_length(features, batch_size):
            batch = collate([features[i] for i in indices])
            batch.pop("labels", None)
            batch = {name: value.to(_device(model)) for name, value in batch.items()}
            answers = _answer(model, batch, tokenizer, form, max_answer_tokens)
            for index, answer in zip(indices, answers, strict=True):
                outputs[index] = answer
            done += len(indices)
            if on_progress:
                on_progress(done, len(features))
    model.train(training)
    return outputs


def _answer(
    model: Any,
    batch: dict[str, Tensor],
    tokenizer: PreTrainedTokenizerBase,
    form: Form,
    max_answer_tokens: int,
) -> list[Any]:
    if form is Form.CLASSIFICATION:
        logits = model(**batch).logits.float()
        if not logits.isfinite().all():
            raise NonFiniteOutputError("the model's logits are not finite")
        return list(logits.cpu().numpy())
    batch.pop("token_type_ids", None)
    ids = model.generate(
        **batch, max_new_tokens=max_answer_tokens, do_sample=False, num_beams=1, use_cache=True
    )
    return list(tokenizer.batch_decode(ids, skip_special_tokens=True))


def _by_length(features: Dataset, batch_size: int) -> Iterator[list[int]]:
    lengths = [len(ids) for ids in features["input_ids"]]
    order = sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True)
    for start in range(0, len(order), batch_size):
        yield order[start : start + batch_size]


def _device(model: nn.Module) -> Any:
    return next(model.parameters()).device
