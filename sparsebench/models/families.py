"""The names of what a backbone can be: its family, and the form in which it answers a task."""

from __future__ import annotations

from enum import StrEnum


class Family(StrEnum):
    """A family of backbones, by the ``model_type`` of its transformers configuration."""

    BERT = "bert"
    ROBERTA = "roberta"
    GPT2 = "gpt2"
    T5 = "t5"


class Form(StrEnum):
    """How a backbone answers a task; it decides the head, the encoding and the prediction."""

    CLASSIFICATION = "classification"
    """One logit a class for a whole sequence; a single one is a regression."""

    SPAN = "span"
    """A start and an end logit a token."""

    TEXT_TO_TEXT = "text-to-text"
    """An encoder reads the input, a decoder writes the answer."""

    LANGUAGE_MODEL = "language-model"
    """A decoder continues the prompt with the answer."""


FORMS: dict[Family, tuple[Form, ...]] = {
    Family.BERT: (Form.CLASSIFICATION, Form.SPAN),
    Family.ROBERTA: (Form.CLASSIFICATION, Form.SPAN),
    Family.GPT2: (Form.CLASSIFICATION, Form.SPAN, Form.LANGUAGE_MODEL),
    Family.T5: (Form.TEXT_TO_TEXT,),
}
"""The forms that each family can take."""

GENERATING = (Form.TEXT_TO_TEXT, Form.LANGUAGE_MODEL)
"""The forms whose answers are written token by token."""

IGNORED = -100
"""The label of tokens that no loss counts."""

_BERT_DROPOUTS = ("hidden_dropout_prob", "attention_probs_dropout_prob", "classifier_dropout")
DROPOUTS: dict[Family, tuple[str, ...]] = {
    Family.BERT: _BERT_DROPOUTS,
    Family.ROBERTA: _BERT_DROPOUTS,
    Family.GPT2: ("resid_pdrop", "embd_pdrop", "attn_pdrop", "summary_first_dropout"),
    Family.T5: ("dropout_rate", "classifier_dropout"),
}
"""What each family calls its dropout probabilities."""
