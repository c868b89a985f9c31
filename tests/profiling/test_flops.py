"""Arithmetic is counted in full whatever the model runs with, or the count says what it lacks."""

from __future__ import annotations

from typing import Any

import peft
import pytest
import torch
from tiny_models import KINDS, tiny_backbone
from torch import nn
from transformers import AutoConfig

from sparsebench.models import Form, anatomy_of
from sparsebench.models.architectures import ARCHITECTURES
from sparsebench.models.backbone import auto_class
from sparsebench.profiling import dummy_inputs
from sparsebench.profiling.flops import count_flops
from sparsebench.profiling.handlers import HANDLERS
from sparsebench.results.costs import Flops, FlopStatus
from sparsebench.sparsity.removal import remove_ffn, remove_heads, remove_neurons

ATTENTION = ("eager", "sdpa")


def full_size(name: str, form: Form, *, attention: str = "sdpa") -> Any:
    """Returns a model of full size, without memory for its weights."""
    family, settings = ARCHITECTURES[name]
    config = AutoConfig.for_model(family, num_labels=2, **settings)
    with torch.device("meta"):
        return auto_class(form).from_config(config, attn_implementation=attention)


def count(model: Any, *, length: int, target: int | None = None, batch: int = 1) -> Flops:
    config, device = model.config, next(model.parameters()).device
    inputs = dummy_inputs(
        config, batch_size=batch, length=length, target_length=target, device=device
    )
    return count_flops(model, inputs)


@pytest.mark.parametrize("attention", ATTENTION)
@pytest.mark.parametrize(
    ("name", "form", "gmac"),
    [
        ("bert-base", Form.CLASSIFICATION, "11.1742"),
        ("t5-small", Form.TEXT_TO_TEXT, "8.0447"),
        ("gpt2", Form.CLASSIFICATION, "11.1738"),
        ("gpt2", Form.LANGUAGE_MODEL, "16.1141"),
    ],
)
def test_published_sizes(name: str, form: Form, gmac: str, attention: str) -> None:
    counted = count(full_size(name, form, attention=attention), length=128)
    assert f"{counted.matrix / 1e9:.4f}" == gmac
    assert counted.status is FlopStatus.VERIFIED
    assert counted.matrix_nonzero is None  # nothing is known of weights without values


@pytest.mark.parametrize(
    ("name", "length"),
    [
        ("bert-large", 512),
        ("roberta-base", 64),
        ("roberta-large", 128),
        ("gpt2-medium", 512),
        ("t5-base", 64),
        ("flan-t5-base", 512),
    ],
)
def test_agrees_with_the_closed_form_at_full_size(name: str, length: int) -> None:
    form = Form.TEXT_TO_TEXT if "t5" in name else Form.CLASSIFICATION
    counted = count(full_size(name, form), length=length, target=32)
    assert counted.deviation == 0
    assert counted.status is FlopStatus.VERIFIED


@pytest.mark.parametrize(("length", "target", "batch"), [(1, 1, 1), (7, 12, 3)])
@pytest.mark.parametrize("kind", KINDS)
def test_attention_implementations_agree(kind: str, length: int, target: int, batch: int) -> None:
    eager, sdpa = (
        count(
            tiny_backbone(kind, attention=attention).model,
            length=length,
            target=target,
            batch=batch,
        )
        for attention in ATTENTION
    )
    assert eager.matrix == sdpa.matrix == eager.closed_form
    assert eager.status is sdpa.status is FlopStatus.VERIFIED
    assert eager.elementwise == pytest.approx(sdpa.elementwise, rel=0.1)


@pytest.mark.parametrize(
    ("kind", "form"),
    [
        ("bert", Form.SPAN),
        ("roberta", Form.SPAN),
        ("gpt2", Form.SPAN),
        ("gpt2", Form.CLASSIFICATION),
    ],
)
def test_every_head_is_counted(kind: str, form: Form) -> None:
    counted = count(tiny_backbone(kind, form=form).model, length=9, batch=2)
    assert counted.matrix == counted.closed_form


@pytest.mark.parametrize("attention", ATTENTION)
@pytest.mark.parametrize("kind", KINDS)
def test_removed_parts_are_gone(kind: str, attention: str) -> None:
    model = tiny_backbone(kind, attention=attention).model
    whole = count(model, length=11, target=6)
    for block in anatomy_of(model).blocks:
        for part in block.attentions:
            remove_heads(model, part, range(block.index))
        remove_neurons(model, block.ffn, range(5 * block.index))
    remove_ffn(model, anatomy_of(model).blocks[-1])
    left = count(model, length=11, target=6)
    assert left.matrix < whole.matrix
    assert left.matrix == left.closed_form
    assert left.status is FlopStatus.VERIFIED


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    "config", [peft.PrefixTuningConfig, peft.PromptTuningConfig, peft.LoraConfig]
)
def test_adapters_that_stay_are_counted(kind: str, config: Any) -> None:
    model = tiny_backbone(kind).model
    alone = count(model, length=11, target=6)
    settings = {} if config is peft.LoraConfig else {"num_virtual_tokens": 4}
    task = {"t5": "SEQ_2_SEQ_LM", "gpt2": "CAUSAL_LM"}.get(model.config.model_type, "SEQ_CLS")
    counted = count(
        peft.get_peft_model(model, config(task_type=task, **settings)), length=11, target=6
    )
    assert counted.matrix > alone.matrix
    assert counted.matrix == counted.closed_form
    assert counted.status is FlopStatus.VERIFIED


@pytest.mark.parametrize("kind", KINDS)
def test_zeros_do_not_count_as_useful(kind: str) -> None:
    model = tiny_backbone(kind).model
    dense = count(model, length=10, target=10)
    gone = 0
    for matrix in anatomy_of(model).matrices():
        matrix.weight(model).data[:3, :7] = 0
        gone += 3 * 7
    sparse = count(model, length=10, target=10)
    assert sparse.matrix == dense.matrix == dense.matrix_nonzero
    assert sparse.matrix_nonzero == dense.matrix - 10 * gone


class Sparse(nn.Module):
    """A product with a weight of 5 x 6 that keeps every third entry, in some form of storage."""

    def __init__(self, form: str) -> None:
        super().__init__()
        weight = torch.ones(30)
        weight[torch.arange(30) % 3 > 0] = 0
        weight = weight.view(5, 6)
        stored = {"csr": weight.to_sparse_csr, "coo": weight.to_sparse}.get(form, lambda: weight)
        self.weight = nn.Parameter(stored(), requires_grad=False)
        self.form = form

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weight = self.weight.to_sparse_csr() if self.form == "converted" else self.weight
        if self.form == "coo":
            return torch.sparse.mm(weight, x.T)
        if self.form == "csr":
            return torch.sparse.mm(weight, x.T) + nn.functional.linear(x, weight).T
        return weight @ x.T


@pytest.mark.parametrize(
    ("form", "products"), [("csr", 2), ("coo", 1), ("converted", 1), ("dense", 3)]
)
def test_a_sparse_product_counts_what_it_keeps(form: str, products: int) -> None:
    counted = count_flops(Sparse(form), {"x": torch.ones(4, 6)})
    assert counted.matrix == 4 * 10 * products
    assert counted.matrix_nonzero == 4 * 10 * (1 if form == "dense" else products)


PRODUCTS = {
    "linear": (lambda a, b, c: nn.functional.linear(a[0], b[0].T), 3 * 4 * 5),
    "batched": (lambda a, b, c: torch.bmm(a, b), 2 * 3 * 4 * 5),
    "broadcast": (lambda a, b, c: torch.matmul(a[0], b), 2 * 3 * 4 * 5),
    "added": (lambda a, b, c: torch.addmm(c[0], a[0], b[0]), 3 * 4 * 5),
    "batched and added": (lambda a, b, c: torch.baddbmm(c, a, b), 2 * 3 * 4 * 5),
    "vector": (lambda a, b, c: a[0] @ b[0, :, 0], 3 * 4),
    "two vectors": (lambda a, b, c: a[0, 0] @ b[0, :, 0], 4),
    "einsum": (lambda a, b, c: torch.einsum("bij,bjk->bik", a, b), 2 * 3 * 4 * 5),
    "summed einsum": (lambda a, b, c: torch.einsum("bij,bjk->k", a, b), 2 * 3 * 4 * 5),
}


class Calls(nn.Module):
    """Runs a function on its inputs."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.function = function

    def forward(self, **inputs: torch.Tensor) -> object:
        return self.function(*inputs.values())


@pytest.mark.parametrize("name", PRODUCTS)
def test_every_product_counts_its_multiply_adds(name: str) -> None:
    function, expected = PRODUCTS[name]
    inputs = {"a": torch.ones(2, 3, 4), "b": torch.ones(2, 4, 5), "c": torch.ones(2, 3, 5)}
    counted = count_flops(Calls(function), inputs)
    assert (counted.matrix, counted.elementwise, counted.uncounted) == (expected, 0, ())


def test_elementwise_work_is_a_figure_of_its_own() -> None:
    counted = count_flops(Calls(lambda x: torch.relu(x + 1) * 2), {"x": torch.ones(3, 4)})
    assert (counted.matrix, counted.elementwise) == (0, 3 * 12)


def test_indices_and_lookups_are_not_arithmetic() -> None:
    table = nn.Embedding(10, 4)
    function = Calls(lambda ids: table(torch.cumsum(ids, 0) % 10 + 0))
    function.table = table
    counted = count_flops(function, {"ids": torch.ones(3, dtype=torch.long)})
    assert (counted.matrix, counted.elementwise) == (0, 0)


class Doubled(torch.autograd.Function):
    """An operator in Python."""

    @staticmethod
    def forward(_: Any, x: torch.Tensor) -> torch.Tensor:
        return x * 2


UNKNOWN = {
    "aten::fft_fft": lambda x: torch.fft.fft(x).real,
    "aten::einsum": lambda x: torch.einsum("...i,...i->...", x, x),
    "prim::PythonOp.Doubled": Doubled.apply,
}


@pytest.mark.parametrize("name", UNKNOWN)
def test_what_cannot_be_counted_is_named(name: str) -> None:
    counted = count_flops(Calls(UNKNOWN[name]), {"x": torch.ones(3, 4)})
    assert name in counted.uncounted
    assert counted.status is FlopStatus.UNVERIFIED
    assert name in str(counted.reason)


def test_an_unknown_operator_in_a_known_model_makes_it_unverified() -> None:
    model = tiny_backbone("bert").model
    model.classifier.register_forward_hook(lambda *call: torch.fft.fft(call[-1]).real)
    counted = count(model, length=8)
    assert counted.deviation == 0
    assert counted.status is FlopStatus.UNVERIFIED
    assert "aten::fft_fft" in str(counted.reason)


@pytest.mark.parametrize(
    ("kind", "attention", "taken"),
    [
        ("bert", "sdpa", "linear"),
        ("bert", "sdpa", "scaled_dot_product_attention"),
        ("bert", "eager", "matmul"),
        ("bert", "eager", "softmax"),
        ("bert", "eager", "layer_norm"),
        ("bert", "eager", "gelu"),
        ("gpt2", "sdpa", "addmm"),
        ("t5", "sdpa", "relu"),
        ("t5", "sdpa", "rsqrt"),
    ],
)
def test_without_a_handler_the_operator_is_named(kind: str, attention: str, taken: str) -> None:
    model = tiny_backbone(kind, attention=attention).model
    handlers = {name: h for name, h in HANDLERS.items() if name != f"aten::{taken}"}
    counted = count_flops(model, dummy_inputs(model.config, length=8), handlers=handlers)
    assert counted.uncounted == (f"aten::{taken}",)
    assert counted.status is FlopStatus.UNVERIFIED


def test_the_model_is_left_as_it_was() -> None:
    model = tiny_backbone("t5").model.train()
    model.encoder.block[0].eval()
    modes = [module.training for module in model.modules()]
    caches = [model.config.use_cache, model.decoder.config.use_cache]
    count(model, length=5)
    with pytest.raises(ValueError, match="input_ids"):
        count_flops(model, {"attention_mask": torch.ones(1, 2)})
    assert [module.training for module in model.modules()] == modes
    assert [model.config.use_cache, model.decoder.config.use_cache] == caches
    assert torch.is_grad_enabled()
