"""The arithmetic of every operator that occurs in the four families.

Matrix products are counted in multiply-adds; a bias is the initial value of a sum and adds none.
Causal attention counts in full, as its eager form computes every score. Element-wise work is
counted in floating-point operations: one for each element and step of the textbook formula, so that
fused and unfused operators agree. Indices, masks and comparisons are not arithmetic.
"""

from __future__ import annotations

import math
from collections import Counter
from typing import TYPE_CHECKING

import torch

from sparsebench.profiling.graph import UncountableError
from sparsebench.profiling.parameters import nonzero_entries, stored_entries

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sparsebench.profiling.graph import Call, Operand

    Handler = Callable[[Call], Counter[str]]

MATRIX = "matrix"
"""Key of the multiply-adds that run."""

NONZERO = "nonzero"
"""Key of those multiply-adds whose stored weight is not zero."""

ELEMENTWISE = "elementwise"
"""Key of the operations of element-wise work."""

_SOFTMAX_STEPS = 5
"""Maximum, difference, exponential, sum, quotient."""

_NORM_STEPS = 5
"""Layer norm: mean, difference, variance, scale, shift; as in fvcore."""

_RMS_NORM_STEPS = 4
"""Square, mean, scale by the root, scale by the weight."""


def _product(work: int, *factors: Operand) -> Counter[str]:
    """Count a matrix product that needs ``work`` multiply-adds with dense factors.

    Every entry of a factor takes part in equally many multiply-adds, so that an entry that is zero,
    or that a sparse factor does not store, saves its share.
    """
    runs = useful = work
    for factor in factors:
        size = math.prod(factor.shape)
        if not size or factor.weight is None or factor.weight.is_meta:
            continue
        each = work // size
        useful = min(useful, each * nonzero_entries(factor.weight))
        if factor.sparse:
            runs = min(runs, each * _kept_entries(factor.weight))
    return Counter({MATRIX: runs, NONZERO: useful})


def _contraction(first: int) -> Handler:
    """Return the handler of a product of operand ``first``, over its last axis, and the next."""

    def count(call: Call) -> Counter[str]:
        left, right = call.operand(first), call.operand(first + 1)
        return _product(math.prod(call.result.shape) * left.shape[-1], left, right)

    return count


def _attention(call: Call) -> Counter[str]:
    """Count scaled dot-product attention: two products, the scale, the mask and the softmax."""
    query, key, value = (call.operand(place) for place in range(3))
    scores = math.prod(query.shape[:-1]) * key.shape[-2]
    steps = 1 + _SOFTMAX_STEPS + call.has_tensor(3)
    counts = _product(scores * (query.shape[-1] + value.shape[-1]))
    return counts + Counter({ELEMENTWISE: scores * steps})


def _einsum(call: Call) -> Counter[str]:
    """Count a contraction of two operands, without an ellipsis."""
    equation, operands = call.constant(0), call.operands(1)
    if not isinstance(equation, str) or "." in equation or len(operands) != 2:  # noqa: PLR2004
        raise UncountableError
    terms = equation.replace(" ", "").split("->")[0].split(",")
    sizes = {
        index: size
        for term, operand in zip(terms, operands, strict=True)
        for index, size in zip(term, operand.shape, strict=True)
    }
    return _product(math.prod(sizes.values()), *operands)


def _elementwise(steps: int) -> Handler:
    """Return the handler of ``steps`` operations for each input or output element, the larger."""

    def count(call: Call) -> Counter[str]:
        result = call.result
        if not result.floating:
            return Counter()
        into = math.prod(call.operand(0).shape) if call.has_tensor(0) else 0
        return Counter({ELEMENTWISE: steps * max(into, math.prod(result.shape))})

    return count


def _kept_entries(weight: torch.Tensor) -> int:
    """Return the entries of a weight in a sparse layout, also if it is converted in the pass."""
    dense = weight.layout == torch.strided
    return nonzero_entries(weight) if dense else stored_entries(weight)


_ONE_STEP = """
    abs add add_ addcdiv addcmul amax amin clamp clamp_ clamp_max clamp_min cos cumsum div div_ erf
    exp floor gelu hardtanh leaky_relu log max maximum mean min minimum mul mul_ neg pow pow_ prod
    reciprocal relu relu_ rsqrt rsub sigmoid sigmoid_ silu sin softplus sqrt square sub sub_ sum
    tanh tanh_ true_divide
"""

HANDLERS: Mapping[str, Handler] = {
    **dict.fromkeys(("aten::linear", "aten::matmul", "aten::mm", "aten::bmm"), _contraction(0)),
    **dict.fromkeys(("aten::mv", "aten::dot", "aten::_sparse_mm"), _contraction(0)),
    **dict.fromkeys(("aten::addmm", "aten::baddbmm", "aten::addmv"), _contraction(1)),
    "aten::_sparse_addmm": _contraction(1),
    "aten::einsum": _einsum,
    "aten::scaled_dot_product_attention": _attention,
    "aten::_scaled_dot_product_attention_math": _attention,
    "aten::_scaled_dot_product_cudnn_attention": _attention,
    "aten::_scaled_dot_product_efficient_attention": _attention,
    "aten::_scaled_dot_product_flash_attention": _attention,
    "aten::_scaled_dot_product_flash_attention_for_cpu": _attention,
    **dict.fromkeys((f"aten::{name}" for name in _ONE_STEP.split()), _elementwise(1)),
    "aten::softmax": _elementwise(_SOFTMAX_STEPS),
    "aten::log_softmax": _elementwise(_SOFTMAX_STEPS),
    "aten::layer_norm": _elementwise(_NORM_STEPS),
    "aten::rms_norm": _elementwise(_RMS_NORM_STEPS),
}
"""The handler of every operator that computes, by its name in the traced graph."""

_NO_ARITHMETIC = """
    Bool Float Int ScalarImplicit
    __and__ __or__ alias all any arange argmax argmin as_strided bitwise_and bitwise_not bitwise_or
    broadcast_tensors broadcast_to cat chunk clone constant_pad_nd contiguous copy_ detach dropout
    embedding empty empty_like eq expand expand_as feature_dropout fill_ flatten full full_like
    gather ge gt index index_put_ index_select is_nonzero isinf isnan item le lift_fresh logical_and
    logical_not logical_or lt mT masked_fill masked_fill_ movedim narrow ne new_empty new_full
    new_ones new_zeros nonzero numpy_T ones ones_like pad permute repeat repeat_interleave reshape
    reshape_as resolve_conj roll select scatter size slice split split_with_sizes squeeze stack t
    tensor tensor_split to to_dense to_sparse to_sparse_csr topk transpose tril triu type_as unbind
    unflatten unsqueeze unsqueeze_ view view_as where zero_ zeros zeros_like
    _assert_async _fused_sdp_choice _shape_as_tensor
"""

MOVES = frozenset(f"aten::{name}" for name in _NO_ARITHMETIC.split())
"""Operators without arithmetic: they create, move, convert, select, compare or combine flags.

They include the lookup of an embedding, and dropout, which does nothing in evaluation.
"""
