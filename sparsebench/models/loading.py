"""Load a backbone and give it a task head."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sparsebench.errors import UserError
from sparsebench.models.backbone import Backbone, auto_class
from sparsebench.models.families import FAMILIES, Form, family_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from transformers import PreTrainedModel

    from sparsebench.models.sources import ModelSource


def load_backbone(
    source: ModelSource,
    *,
    form: Form,
    labels: Iterable[str] = (),
    dropout: float | None = None,
) -> Backbone:
    """Load a backbone and give it a task head.

    The weights of a new head are drawn from torch's global generator.

    Args:
        source: Where the backbone comes from.
        form: How it solves the task.
        labels: For classification, the classes in order; a single one means regression.
        dropout: Every dropout probability in training; None for those of its configuration.

    Raises:
        UserError: The family does not support the form, or the folder does not load.
    """
    settings = _settings(source, form=form, labels=tuple(labels))
    if dropout is not None:
        settings |= dict.fromkeys(FAMILIES.get(source.family).dropouts, dropout)
    folder = source.folder()
    if folder is None:
        return _random_backbone(source.config, form=form, settings=settings)
    try:
        return _pretrained_backbone(str(folder), form=form, settings=settings)
    except (OSError, ValueError, KeyError) as error:
        raise UserError(f"model {source.spec!r} does not load: {error}") from error


def empty_backbone(source: ModelSource, *, form: Form, labels: Iterable[str] = ()) -> Backbone:
    """Build a backbone on the meta device: the shapes of its configuration, without weights.

    Args:
        source: Where it comes from; only its configuration is read.
        form: How it solves the task.
        labels: As for ``load_backbone``.

    Raises:
        UserError: The family does not support the form.
    """
    import torch

    settings = _settings(source, form=form, labels=tuple(labels))
    with torch.device("meta"):
        return _random_backbone(source.config, form=form, settings=settings)


def _settings(source: ModelSource, *, form: Form, labels: tuple[str, ...]) -> dict[str, Any]:
    """Return the settings of the task head as keys of a transformers configuration."""
    if form not in FAMILIES.get(source.family).forms:
        raise UserError(f"model {source.spec!r}: {source.family} does not support {form}")
    if form is not Form.CLASSIFICATION:
        return {}
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
    prefixes = FAMILIES.get(family_of(model.config)).heads
    return frozenset(
        name for name, _ in model.named_parameters() if name in fresh or name.startswith(prefixes)
    )
