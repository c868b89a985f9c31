"""The multiply-adds of a forward pass, computed from the architecture without running the model.

This is independent of the trace, so that it can check the trace: every matrix of a block is applied
once to each token of its stack (in cross-attention, keys and values to those of the encoder),
attention is two products over all pairs of tokens, and the head follows. The sizes are those of the
model's matrices, so that removed heads and neurons do not count.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sparsebench.errors import UserError
from sparsebench.models import Role, anatomy_of
from sparsebench.profiling.parameters import peft_base, stored_entries

if TYPE_CHECKING:
    from torch import nn

    from sparsebench.models.anatomy import Attention, Block
    from sparsebench.results.costs import Shapes

_TOKEN_HEADS = frozenset({"cls", "lm_head", "qa_outputs", "score"})
"""Heads that run on every token. GPT-2's classifier selects the last token afterwards."""

_SEQUENCE_HEADS = frozenset({"classifier", "pooler"})
"""Heads, or parts of heads, that run once for a sequence."""


@dataclass(frozen=True)
class _Tokens:
    """The number of sequences, their tokens in each stack, and tokens that only attention sees."""

    batch: int
    encoder: int
    decoder: int
    two_stacks: bool
    prefix: int = 0

    def of(self, block: Block) -> int:
        return self.encoder if block.stack == "encoder" else self.decoder


def closed_form(model: nn.Module, shapes: Shapes, *, last_token_only: bool = False) -> int | None:
    """Return the multiply-adds of all matrix products of a forward pass.

    Args:
        model: A model of one of the four families, plain or wrapped by the PEFT library.
        shapes: The shapes of its inputs.
        last_token_only: Whether a head that runs on every token runs only on the last one.

    Returns:
        The count, or None for a model of another family or for other inputs.
    """
    base = peft_base(model)
    if not hasattr(base, "config") or "input_ids" not in shapes:
        return None
    try:
        blocks = anatomy_of(base).blocks
    except UserError:
        return None
    tokens = _with_prompt(model, _tokens(shapes))
    each = sum(_block(base, block, tokens) for block in blocks)
    head_tokens = 1 if last_token_only else tokens.of(blocks[-1])
    return tokens.batch * (each + _heads(base, tokens=head_tokens))


def closed_form_of_a_token(model: nn.Module, *, prompt: int, cached: int) -> int:
    """Return the multiply-adds of generating one more token of one sequence, with a cache.

    Every matrix of the last stack is applied to this token only, except keys and values of
    cross-attention, which are cached with the prompt. Attention sees this and the cached tokens.

    Args:
        model: A plain model of one of the four families.
        prompt: Tokens that the encoder read.
        cached: Tokens of the last stack that are cached.
    """
    total = _heads(model, tokens=1)
    for block in anatomy_of(model).blocks:
        if block.stack == "encoder":
            continue
        cached_matrices = {path for part in block.attentions for path in _from_encoder(part)}
        paths = {matrix.path for matrix in block.matrices} - cached_matrices
        total += sum(_size(model.get_submodule(path)) for path in paths)
        for part in block.attentions:
            keys = prompt if part.cross else cached + 1
            total += 2 * keys * part.heads * part.head_size
    return total


def _tokens(shapes: Shapes) -> _Tokens:
    batch, length = shapes["input_ids"]
    target = shapes.get("decoder_input_ids")
    return _Tokens(
        batch=batch,
        encoder=length,
        decoder=target[1] if target else length,
        two_stacks=target is not None,
    )


def _with_prompt(model: nn.Module, tokens: _Tokens) -> _Tokens:
    """Add the virtual tokens of prompt learning in the PEFT library.

    The attention of the last stack sees a prefix; a prompt is put before the input.
    """
    config: Any = getattr(model, "active_peft_config", None)
    if config is None or not config.is_prompt_learning:
        return tokens
    virtual = config.num_virtual_tokens
    if config.peft_type == "PREFIX_TUNING":
        return replace(tokens, prefix=virtual)
    encoder = tokens.encoder + virtual
    return replace(
        tokens, encoder=encoder, decoder=tokens.decoder if tokens.two_stacks else encoder
    )


def _block(model: nn.Module, block: Block, tokens: _Tokens) -> int:
    # By path of the module: GPT-2 keeps query, key and value in one, which counts once.
    applied: dict[str, int] = {}
    for attention in block.attentions:
        own = {matrix.path: tokens.of(block) for matrix in attention.matrices}
        applied |= own | dict.fromkeys(_from_encoder(attention), tokens.encoder)
    if block.ffn is not None:
        applied |= {matrix.path: tokens.of(block) for matrix in block.ffn.matrices}
    matrices = sum(rows * _size(model.get_submodule(path)) for path, rows in applied.items())
    return matrices + sum(_attention(part, block, tokens) for part in block.attentions)


def _from_encoder(attention: Attention) -> list[str]:
    matrices = attention.matrices if attention.cross else ()
    return [matrix.path for matrix in matrices if matrix.role in (Role.KEY, Role.VALUE)]


def _attention(attention: Attention, block: Block, tokens: _Tokens) -> int:
    """Count query by key and attention weights by value: both over every pair of tokens."""
    own = tokens.of(block)
    last_stack = block.stack == "decoder" or not tokens.two_stacks
    keys = tokens.encoder if attention.cross else own + tokens.prefix * last_stack
    return 2 * own * keys * attention.heads * attention.head_size


def _heads(model: nn.Module, *, tokens: int) -> int:
    parts = list(model.named_children())
    parts += list(getattr(model, getattr(model, "base_model_prefix", ""), model).named_children())
    rows = {**dict.fromkeys(_TOKEN_HEADS, tokens), **dict.fromkeys(_SEQUENCE_HEADS, 1)}
    heads = {id(part): rows[name] * _size(part) for name, part in parts if name in rows}
    return sum(heads.values())


def _size(module: nn.Module) -> int:
    """Return the entries of the matrices in a module, without PEFT's unused copies."""
    tensors = [*module.named_parameters(), *module.named_buffers()]
    matrices = [(name, tensor) for name, tensor in tensors if tensor.dim() > 1]
    return sum(
        stored_entries(tensor) for name, tensor in matrices if "original_module." not in name
    )
