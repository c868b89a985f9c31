"""A pretrained model with its task head, ready for a method."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sparsebench.errors import UserError
from sparsebench.models.anatomy import Anatomy, anatomy_of
from sparsebench.models.families import DROPOUTS, FORMS, Family, Form

if TYPE_CHECKING:
    from collections.abc import Iterable

    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from sparsebench.models.sources import ModelSource

HEADS = ("classifier.", "score.", "qa_outputs.")
"""How the names of the parameters of task heads begin, in the four families."""

_AUTO_CLASSES = {
    Form.CLASSIFICATION: "AutoModelForSequenceClassification",
    Form.SPAN: "AutoModelForQuestionAnswering",
    Form.TEXT_TO_TEXT: "AutoModelForSeq2SeqLM",
    Form.LANGUAGE_MODEL: "AutoModelForCausalLM",
}


@dataclass
class Backbone:
    """A pretrained model with its task head.

    Attributes:
        model: The transformers model, in fp32, on the CPU.
        tokenizer: Its tokenizer, with a pad token; None for random backbones.
        form: How it answers the task.
        head: Names of the parameters that were made for the task and not pretrained. Empty where
            the model answers in words.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase | None
    form: Form
    head: frozenset[str]

    @property
    def anatomy(self) -> Anatomy:
        """The blocks of the model as it now is."""
        return anatomy_of(self.model)

    @property
    def family(self) -> Family:
        """The family of the model."""
        return self.anatomy.family

    def freeze(self, *, except_head: bool = True) -> None:
        """Stops every parameter from training, but for the task head."""
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad_(except_head and name in self.head)


def load_backbone(
    source: ModelSource,
    *,
    form: Form,
    labels: Iterable[str] = (),
    dropout: float | None = None,
) -> Backbone:
    """Loads a backbone and gives it a head; a new head draws from torch's global generator.

    Args:
        source: Where it comes from.
        form: How it is to answer.
        labels: For classification, the classes in order; a single one means regression.
        dropout: Every dropout probability in training; None for those of its configuration.

    Raises:
        UserError: The family cannot take the form, or the folder does not load.
    """
    if form not in FORMS[source.family]:
        raise UserError(f"model {source.spec!r}: {source.family} cannot answer as {form}")
    labels = tuple(labels)
    settings = _head_settings(labels) if form is Form.CLASSIFICATION else {}
    if dropout is not None:
        settings |= dict.fromkeys(DROPOUTS[source.family], dropout)
    folder = source.folder()
    if folder is None:
        return _random_backbone(source.config, form=form, settings=settings)
    try:
        return _pretrained_backbone(str(folder), form=form, settings=settings)
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"model {source.spec!r} does not load: {error}") from error


def empty_backbone(source: ModelSource, *, form: Form, labels: Iterable[str] = ()) -> Backbone:
    """Returns a backbone on the meta device: its configuration's shapes, and no weights.

    Args:
        source: Where it comes from; only its configuration is read.
        form: How it is to answer.
        labels: As for ``load_backbone``.

    Raises:
        UserError: The family cannot take the form.
    """
    import torch

    if form not in FORMS[source.family]:
        raise UserError(f"model {source.spec!r}: {source.family} cannot answer as {form}")
    settings = _head_settings(tuple(labels)) if form is Form.CLASSIFICATION else {}
    with torch.device("meta"):
        return _random_backbone(source.config, form=form, settings=settings)


def auto_class(form: Form) -> Any:
    """Returns the transformers auto class whose models answer in this form."""
    import transformers

    return getattr(transformers, _AUTO_CLASSES[form])


def _head_settings(labels: tuple[str, ...]) -> dict[str, Any]:
    kind = "regression" if len(labels) == 1 else "single_label_classification"
    return {
        "num_labels": len(labels),
        "id2label": dict(enumerate(labels)),
        "label2id": {label: index for index, label in enumerate(labels)},
        "problem_type": kind,
    }


def _pretrained_backbone(folder: str, *, form: Form, settings: dict[str, Any]) -> Backbone:
    import torch
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    model, report = auto_class(form).from_pretrained(
        folder,
        dtype=torch.float32,
        local_files_only=True,
        use_safetensors=True,
        ignore_mismatched_sizes=True,
        output_loading_info=True,
        **settings,
    )
    model.config.pad_token_id = tokenizer.pad_token_id
    fresh = {*report["missing_keys"], *(key for key, *_ in report["mismatched_keys"])}
    return Backbone(model, tokenizer, form, head=_head(model, fresh))


def _random_backbone(config: dict[str, Any], *, form: Form, settings: dict[str, Any]) -> Backbone:
    from transformers import AutoConfig

    arguments = {**config, **settings}
    model = auto_class(form).from_config(AutoConfig.for_model(**arguments))
    return Backbone(model.float(), None, form, head=_head(model, set()))


def _head(model: PreTrainedModel, fresh: set[str]) -> frozenset[str]:
    return frozenset(
        name for name, _ in model.named_parameters() if name in fresh or name.startswith(HEADS)
    )
