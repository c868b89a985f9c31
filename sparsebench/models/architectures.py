"""Configurations of well-known backbones, to build their shapes without a download.

Each entry contains the published values as keyword arguments of the family's transformers
configuration. Other values are the defaults of that class: the ``base`` (BERT, GPT-2) or ``small``
(T5) model of the paper.
"""

from __future__ import annotations

from typing import Any

_BERT_LARGE = {
    "hidden_size": 1024,
    "num_hidden_layers": 24,
    "num_attention_heads": 16,
    "intermediate_size": 4096,
}
_ROBERTA = {
    "vocab_size": 50265,
    "max_position_embeddings": 514,
    "type_vocab_size": 1,
    "layer_norm_eps": 1e-5,
    "pad_token_id": 1,
    "bos_token_id": 0,
    "eos_token_id": 2,
}


def _gpt2(width: int, depth: int, heads: int) -> dict[str, Any]:
    return {"n_embd": width, "n_layer": depth, "n_head": heads, "pad_token_id": 50256}


def _t5(width: int, inner: int, depth: int, heads: int, *, head_size: int = 64) -> dict[str, Any]:
    shape = {"d_model": width, "d_ff": inner, "num_layers": depth, "num_heads": heads}
    return {**shape, "d_kv": head_size, "decoder_start_token_id": 0}


def _flan_t5(width: int, inner: int, depth: int, heads: int) -> dict[str, Any]:
    gated = {"feed_forward_proj": "gated-gelu", "tie_word_embeddings": False}
    return {**_t5(width, inner, depth, heads), **gated}


ARCHITECTURES: dict[str, tuple[str, dict[str, Any]]] = {
    "bert-base": ("bert", {}),
    "bert-large": ("bert", _BERT_LARGE),
    "roberta-base": ("roberta", _ROBERTA),
    "roberta-large": ("roberta", {**_ROBERTA, **_BERT_LARGE}),
    "gpt2": ("gpt2", _gpt2(768, 12, 12)),
    "gpt2-medium": ("gpt2", _gpt2(1024, 24, 16)),
    "gpt2-large": ("gpt2", _gpt2(1280, 36, 20)),
    "gpt2-xl": ("gpt2", _gpt2(1600, 48, 25)),
    "t5-small": ("t5", _t5(512, 2048, 6, 8)),
    "t5-base": ("t5", _t5(768, 3072, 12, 12)),
    "t5-large": ("t5", _t5(1024, 4096, 24, 16)),
    "t5-3b": ("t5", _t5(1024, 16384, 24, 32, head_size=128)),
    "t5-11b": ("t5", _t5(1024, 65536, 24, 128, head_size=128)),
    "flan-t5-small": ("t5", _flan_t5(512, 1024, 8, 6)),
    "flan-t5-base": ("t5", _flan_t5(768, 2048, 12, 12)),
    "flan-t5-large": ("t5", _flan_t5(1024, 2816, 24, 16)),
    "flan-t5-xl": ("t5", _flan_t5(2048, 5120, 24, 32)),
    "flan-t5-xxl": ("t5", _flan_t5(4096, 10240, 24, 64)),
}
"""The name after ``random:`` -> the transformers ``model_type`` and its configuration."""
