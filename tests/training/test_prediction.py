"""Prediction: the order of the examples, padding, and what is not finite."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from datasets import Dataset
from tiny_models import tiny_backbone

from sparsebench.models import Form
from sparsebench.schema.training import GenerationSettings
from sparsebench.training.prediction import (
    NonFiniteOutputError,
    collator_for,
    forward_batches,
    predict,
)

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


@pytest.mark.parametrize("beams", [1, 3])
@pytest.mark.parametrize(
    ("kind", "form"), [("gpt2", Form.LANGUAGE_MODEL), ("t5", Form.TEXT_TO_TEXT)]
)
def test_texts_are_the_same_in_a_batch_and_alone(
    kind: str, form: Form, beams: int, word_tokenizer: PreTrainedTokenizerFast
) -> None:
    """A language model continues what is padded on the left."""
    model = tiny_backbone(kind, vocab_size=len(word_tokenizer)).model
    terms: dict[str, Any] = {
        "tokenizer": word_tokenizer,
        "form": form,
        "generation": GenerationSettings(beams=beams, length_penalty=0.8, no_repeat_ngram=2),
    }
    together = predict(model, features(), batch_size=4, **terms)
    assert together == predict(model, features(), batch_size=1, **terms)
    assert len(set(together)) > 1


def test_a_language_model_gives_what_comes_after_the_prompt(
    word_tokenizer: PreTrainedTokenizerFast,
) -> None:
    model = tiny_backbone("gpt2", vocab_size=len(word_tokenizer)).model
    row = features().select([0])
    (text,) = predict(
        model, row, tokenizer=word_tokenizer, form=Form.LANGUAGE_MODEL, max_answer_tokens=3
    )
    ids = torch.tensor([row[0]["input_ids"]])
    model.eval()
    for _ in range(3):
        ids = torch.cat([ids, model(ids).logits[:, -1:].argmax(-1)], dim=1)
    assert text == word_tokenizer.decode(ids[0, -3:], skip_special_tokens=True)


def test_no_ngram_comes_twice_where_none_may(word_tokenizer: PreTrainedTokenizerFast) -> None:
    model = tiny_backbone("t5", vocab_size=len(word_tokenizer)).model
    terms: dict[str, Any] = {"tokenizer": word_tokenizer, "form": Form.TEXT_TO_TEXT}
    once = predict(model, features(), generation=GenerationSettings(no_repeat_ngram=1), **terms)
    assert all(len(text.split()) == len(set(text.split())) for text in once)
    assert once != predict(model, features(), **terms)


@pytest.mark.parametrize("kind", ["bert", "roberta", "gpt2"])
def test_a_span_has_a_start_and_an_end_logit_a_token(
    kind: str, word_tokenizer: PreTrainedTokenizerFast
) -> None:
    model = tiny_backbone(kind, form=Form.SPAN).model
    terms: dict[str, Any] = {"tokenizer": word_tokenizer, "form": Form.SPAN}
    together = predict(model, features(), batch_size=4, **terms)
    alone = predict(model, features(), batch_size=1, **terms)
    for length, batched, single in zip(features()["length"], together, alone, strict=True):
        assert single.shape == (2, length)
        np.testing.assert_allclose(batched[:, :length], single, atol=1e-5)


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


@pytest.mark.parametrize("form", [Form.CLASSIFICATION, Form.TEXT_TO_TEXT, Form.LANGUAGE_MODEL])
@pytest.mark.parametrize(("length", "width"), [(None, 3), (6, 6), (2, 3)])
def test_inputs_and_answers_are_padded_to_a_length(
    form: Form, length: int | None, width: int, word_tokenizer: PreTrainedTokenizerFast
) -> None:
    rows = [{"input_ids": ids, "attention_mask": [1] * len(ids)} for ids in ([5, 6, 7], [5])]
    labels = [0, 1] if form is Form.CLASSIFICATION else [[7], [8, 9, 10]]
    rows = [{**row, "labels": label} for row, label in zip(rows, labels, strict=True)]
    batch = collator_for(word_tokenizer, form, length=length)(rows)
    assert batch["input_ids"].shape == batch["attention_mask"].shape == (2, width)
    assert batch["attention_mask"].sum(1).tolist() == [3, 1]
    expected = (2,) if form is Form.CLASSIFICATION else (2, width)
    assert batch["labels"].shape == expected


def test_a_forward_pass_is_given_no_answers(word_tokenizer: PreTrainedTokenizerFast) -> None:
    model = tiny_backbone("bert").model
    batches = forward_batches(
        model, features(5), tokenizer=word_tokenizer, form=Form.CLASSIFICATION, batch_size=3
    )

    assert [set(batch) for batch in batches] == [{"input_ids", "attention_mask"}] * 2
    assert [len(batch["input_ids"]) for batch in batches] == [3, 2]


def test_a_decoder_reads_the_answer_one_token_late(
    word_tokenizer: PreTrainedTokenizerFast,
) -> None:
    rows = {
        "input_ids": [[4, 5], [6, 7, 8]],
        "attention_mask": [[1, 1], [1, 1, 1]],
        "labels": [[9, 10, 1], [11, 1]],
    }
    model = tiny_backbone("t5").model
    (batch,) = forward_batches(
        model, Dataset.from_dict(rows), tokenizer=word_tokenizer, form=Form.TEXT_TO_TEXT
    )

    start = model.config.decoder_start_token_id
    assert "labels" not in batch
    assert batch["decoder_input_ids"].tolist() == [[start, 9, 10], [start, 11, 1]]
    assert batch["decoder_attention_mask"].tolist() == [[1, 1, 1], [1, 1, 0]]
