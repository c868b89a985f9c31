"""Prediction: the order of the examples, padding, and what is not finite."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from datasets import Dataset
from tiny_models import tiny_backbone

from sparsebench.evaluation import NonFiniteOutputError, collator_for, predict
from sparsebench.models import Form

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast


def features(count: int = 11) -> Dataset:
    generator = torch.Generator().manual_seed(0)
    lengths = [3 + (7 * place) % 9 for place in range(count)]
    rows = [torch.randint(4, 20, (length,), generator=generator).tolist() for length in lengths]
    return Dataset.from_dict(
        {
            "input_ids": rows,
            "attention_mask": [[1] * len(row) for row in rows],
            "labels": [0] * count,
            "length": lengths,
        }
    )


@pytest.mark.parametrize("kind", ["bert", "roberta", "gpt2"])
def test_batches_answer_as_each_example_alone(
    kind: str, word_tokenizer: PreTrainedTokenizerFast
) -> None:
    model = tiny_backbone(kind, form=Form.CLASSIFICATION).model
    form = Form.CLASSIFICATION
    told: list[tuple[int, int]] = []
    together = predict(
        model,
        features(),
        tokenizer=word_tokenizer,
        form=form,
        batch_size=4,
        on_progress=lambda done, total: told.append((done, total)),
    )
    alone = predict(model, features(), tokenizer=word_tokenizer, form=form, batch_size=1)
    np.testing.assert_allclose(together, alone, atol=1e-5)
    assert len({row.tobytes() for row in together}) == len(together)
    assert told == [(4, 11), (8, 11), (11, 11)]
    assert model.training, "the mode is put back"


def test_generated_texts_come_in_the_order_of_the_examples(
    word_tokenizer: PreTrainedTokenizerFast,
) -> None:
    model = tiny_backbone("t5", vocab_size=len(word_tokenizer)).model
    form = Form.TEXT_TO_TEXT
    data = features().remove_columns("labels")
    together = predict(model, data, tokenizer=word_tokenizer, form=form, batch_size=4)
    alone = predict(model, data, tokenizer=word_tokenizer, form=form, batch_size=1)
    assert together == alone
    assert len(set(together)) > 1


def test_logits_that_are_not_finite_are_no_answer(word_tokenizer: PreTrainedTokenizerFast) -> None:
    model = tiny_backbone("bert", form=Form.CLASSIFICATION).model
    torch.nn.init.constant_(model.classifier.bias, float("nan"))
    with pytest.raises(NonFiniteOutputError):
        predict(model, features(), tokenizer=word_tokenizer, form=Form.CLASSIFICATION)


def test_padding_of_answers_is_not_learnt(word_tokenizer: PreTrainedTokenizerFast) -> None:
    collate = collator_for(word_tokenizer, Form.TEXT_TO_TEXT)
    rows = [
        {"input_ids": [5, 6], "attention_mask": [1, 1], "labels": [7], "length": 2},
        {"input_ids": [5], "attention_mask": [1], "labels": [8, 9], "length": 1},
    ]
    batch = collate(rows)
    assert batch["labels"].tolist() == [[7, -100], [8, 9]]
    assert batch["attention_mask"].tolist() == [[1, 1], [1, 0]]
    assert "length" not in batch
