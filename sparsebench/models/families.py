"""Families of backbones: what each one defines, and the registry of them.

A package adds a family with an entry point in the group ``sparsebench.families``; see
docs/add-a-model-family.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any

from sparsebench.errors import UserError
from sparsebench.models.anatomy import Anatomy, Family
from sparsebench.registry import Registry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from torch import nn

    from sparsebench.models.anatomy import Block

IGNORED = -100
"""The label of tokens that no loss counts."""

HEADS = ("classifier.", "score.", "qa_outputs.")
"""The usual prefixes of the parameters of a task head."""


class Form(StrEnum):
    """How a backbone solves a task: decides the head, the encoding and the prediction."""

    CLASSIFICATION = "classification"
    """One logit per class for a whole sequence; a single logit is a regression."""

    SPAN = "span"
    """A start and an end logit per token."""

    TEXT_TO_TEXT = "text-to-text"
    """An encoder reads the input, a decoder generates the prediction."""

    LANGUAGE_MODEL = "language-model"
    """A decoder continues the prompt with the prediction."""


GENERATING = (Form.TEXT_TO_TEXT, Form.LANGUAGE_MODEL)
"""The forms whose predictions are generated token by token."""


def _max_position_embeddings(config: Mapping[str, Any]) -> int | None:
    return config.get("max_position_embeddings")


@dataclass(frozen=True, kw_only=True)
class FamilyDefinition:
    """Everything that the suite needs to know about a family.

    Attributes:
        forms: The forms it supports, the default of ``profile`` first.
        blocks: Reads the blocks of a live model, with or without a head, the encoder first.
        dropouts: The keys of its configuration that hold a dropout probability.
        positions: Reads from the configuration the most tokens of an input; None for no limit.
        heads: The prefixes of the parameters of its task heads.
        pooler: The path of a pooler that its classification head reads; empty if it has none.
        head_counts: The attributes of an attention module that hold its number of heads, and its
            number of rows in query, key and value.
    """

    forms: tuple[Form, ...]
    blocks: Callable[[nn.Module], Iterable[Block]]
    dropouts: tuple[str, ...]
    positions: Callable[[Mapping[str, Any]], int | None] = _max_position_embeddings
    heads: tuple[str, ...] = HEADS
    pooler: str = ""
    head_counts: tuple[str, str] = ("num_attention_heads", "all_head_size")


_GROUP = "sparsebench.families"
_BUILT_IN = {
    Family.BERT: "sparsebench.models.bert:BERT",
    Family.ROBERTA: "sparsebench.models.bert:ROBERTA",
    Family.GPT2: "sparsebench.models.gpt2:GPT2",
    Family.T5: "sparsebench.models.t5:T5",
}


def _points() -> list[EntryPoint]:
    built_in = [EntryPoint(name, target, _GROUP) for name, target in _BUILT_IN.items()]
    return [*built_in, *entry_points(group=_GROUP)]


def _check(loaded: object) -> FamilyDefinition:
    if not isinstance(loaded, FamilyDefinition):
        raise TypeError(f"not an instance of sparsebench.models.FamilyDefinition: {loaded!r}")
    return loaded


FAMILIES: Registry[FamilyDefinition] = Registry(_GROUP, kind="family", check=_check, points=_points)
"""The families of the package and those that other packages register, by name."""


def family_of(config: object) -> Family:
    """Return the family of a transformers configuration.

    Raises:
        UserError: The family is not registered.
    """
    kind = str(getattr(config, "model_type", None))
    if kind not in FAMILIES:
        families = ", ".join(FAMILIES)
        raise UserError(
            f"no definition of the model family {kind!r}; known: {families}; a package can add one "
            "(docs/add-a-model-family.md)"
        )
    return Family(kind)


def anatomy_of(model: nn.Module) -> Anatomy:
    """Read the anatomy of a plain transformers model.

    Raises:
        UserError: The family of the model is not registered.
    """
    family = family_of(model.config)
    return Anatomy(family=family, blocks=tuple(FAMILIES.get(family).blocks(model)))


def check_anatomy(model: nn.Module) -> None:
    """Check that every path of a model's anatomy leads to a module.

    Raises:
        UserError: One does not; the message names the family, the block and the path.
    """
    anatomy = anatomy_of(model)
    for block in anatomy.blocks:
        ffn = () if block.ffn is None else (block.ffn.path, block.ffn.activation)
        paths = (block.path, *ffn, *(attention.path for attention in block.attentions))
        for path in (*paths, *(matrix.path for matrix in block.matrices)):
            try:
                model.get_submodule(path)
            except AttributeError as error:
                where = f"{block.stack} block {block.index}"
                raise UserError(
                    f"the definition of the family {anatomy.family!r} names {path!r} in {where}, "
                    f"which the model does not have ({error})"
                ) from None
