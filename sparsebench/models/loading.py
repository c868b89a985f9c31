"""Load a backbone and give it a task head."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sparsebench.errors import UserError
from sparsebench.models.anatomy import Family
from sparsebench.models.backbone import Backbone, auto_class, load_weights
from sparsebench.models.checks import check_config, check_files, check_loaded
from sparsebench.models.families import FAMILIES, Form, check_anatomy, family_of

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable
    from pathlib import Path

    from transformers import PreTrainedModel, PreTrainedTokenizerBase

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
    check_config(source.config, spec=source.spec)
    settings = _settings(source, form=form, labels=tuple(labels))
    if dropout is not None:
        settings |= dict.fromkeys(FAMILIES.get(source.family).dropouts, dropout)
    folder = source.folder()
    if folder is None:
        return _random_backbone(source.config, form=form, settings=settings)
    check_files(folder, spec=source.spec)
    try:
        return _pretrained_backbone(source, folder, form=form, settings=settings)
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

    check_config(source.config, spec=source.spec)
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


def _pretrained_backbone(
    source: ModelSource, folder: Path, *, form: Form, settings: dict[str, Any]
) -> Backbone:
    tokenizer = _tokenizer(source, folder)
    if source.config.get("pad_token_id", 0) is None:  # null: the class's default does not apply
        settings = {**settings, "pad_token_id": tokenizer.pad_token_id}
    model, report = load_weights(folder, form=form, ignore_mismatched_sizes=True, **settings)
    words, rows = len(tokenizer), model.get_input_embeddings().weight.shape[0]
    if words > rows:
        raise UserError(
            f"model {source.spec!r}: its tokenizer has {words:,} tokens, its embedding {rows:,}"
        )
    head = _head(model, set())
    check_anatomy(model)
    check_loaded(report, head=head, stored=_stored(folder), spec=source.spec)
    _initialise(model, head.difference(report["missing_keys"]))
    model.config.pad_token_id = tokenizer.pad_token_id
    fresh = head.union(report["missing_keys"])
    if source.untrained_pooler:
        pooler = FAMILIES.get(source.family).pooler
        fresh |= {name for name, _ in model.named_parameters() if name.startswith(pooler)}
    return Backbone(model, tokenizer, form, head=fresh)


def _tokenizer(source: ModelSource, folder: Path) -> PreTrainedTokenizerBase:
    """Load the tokenizer, with a pad token; it pads on the right.

    Padding on the left would move the token that a head reads, and the positions of spans. Where
    text is generated, the inputs are padded on the left explicitly.
    """
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
    tokenizer.padding_side = "right"
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    pad = source.config.get("pad_token_id", 1)
    if source.family == Family.ROBERTA and pad not in (None, tokenizer.pad_token_id):
        raise UserError(
            f"model {source.spec!r}: pad_token_id is {pad} in config.json and "
            f"{tokenizer.pad_token_id} in the tokenizer; RoBERTa counts positions from it, so that "
            "both must be equal"
        )
    return tokenizer


def _stored(folder: Path) -> set[str]:
    """Return the names of the tensors in the weights of a folder."""
    from safetensors import safe_open

    names: set[str] = set()
    for file in folder.glob("*.safetensors"):
        with safe_open(str(file), framework="pt") as tensors:
            names.update(tensors.keys())
    return names


def _initialise(model: PreTrainedModel, names: Collection[str]) -> None:
    """Draw the weights of a head that the checkpoint brought along: its classes are others."""
    modules = dict.fromkeys(name.rpartition(".")[0] for name in names)
    for path in modules:
        module = model.get_submodule(path)
        for tensor in (module, *module.parameters(recurse=False)):
            tensor._is_hf_initialized = False  # noqa: SLF001 - or the library skips it
        model._init_weights(module)  # noqa: SLF001 - nothing public draws the weights of a part


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
