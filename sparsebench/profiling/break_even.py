"""Finds from which share of zeros on a runtime's product is faster than the dense one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from sparsebench.models.anatomy import Role, anatomy_of
from sparsebench.profiling.latency import TimingBudget, latency
from sparsebench.profiling.runtimes.base import Shape
from sparsebench.results.costs import BreakEven

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import nn

    from sparsebench.profiling.runtimes import Runtime

_EFFORT = TimingBudget(warmup=1, rounds=12, seconds=0.05, limit=1.5)


def break_even(
    model: nn.Module,
    *,
    runtimes: Mapping[str, Runtime],
    tokens: int,
    device: torch.device,
    dtype: torch.dtype,
) -> Iterator[BreakEven]:
    """Yields a record for each runtime that skips something and each shape of matrix of a model.

    A runtime that skips activations is held against the second matrix of the feed-forward networks
    alone, which they go into.

    Args:
        model: A plain model, of which only the shapes of its blocks' matrices matter.
        runtimes: The runtimes by name.
        tokens: Tokens that a matrix is applied to at once.
        device: Where to measure.
        dtype: The type of the weights.
    """
    for name, runtime in runtimes.items():
        if runtime.skips is None:
            continue
        roles = (Role.FFN_OUT,) if runtime.skips == "activations" else ()
        for rows, columns in _shapes(model, *roles):
            shape = Shape(rows=rows, columns=columns, tokens=tokens)
            ratios = _ratios(runtime, shape, device=device, dtype=dtype)
            if ratios:
                yield BreakEven(
                    runtime=name,
                    rows=rows,
                    columns=columns,
                    tokens=tokens,
                    what=runtime.skips,
                    ratios=ratios,
                    sparsity=crossing(ratios),
                )


def crossing(ratios: Mapping[float, float]) -> float | None:
    """Returns the share from which on all ratios are under 1, between two by a straight line.

    Args:
        ratios: Share of zeros -> time over that of the dense product.

    Returns:
        The share; the lowest that was measured where it gains already there, None where it loses
        at the highest.
    """
    shares = sorted(ratios)
    losing = [share for share in shares if ratios[share] >= 1]
    if not losing:
        return shares[0]
    last = losing[-1]
    if last == shares[-1]:
        return None
    after = shares[shares.index(last) + 1]
    part = (ratios[last] - 1) / (ratios[last] - ratios[after])
    return last + part * (after - last)


def _shapes(model: nn.Module, *roles: Role) -> list[tuple[int, int]]:
    """Returns the shapes of a model's matrices, each once."""
    sizes = [tuple(matrix.weight(model).shape) for matrix in anatomy_of(model).matrices(*roles)]
    return [(rows, columns) for rows, columns in dict.fromkeys(sizes)]


@torch.no_grad()
def _ratios(
    runtime: Runtime, shape: Shape, *, device: torch.device, dtype: torch.dtype
) -> dict[float, float]:
    ratios: dict[float, float] = {}
    for share in runtime.shares:
        trial = runtime.trial(shape, share=share, device=device, dtype=dtype)
        if trial is None:
            continue
        time = latency(
            trial.runtime,
            reference=trial.dense,
            device=device,
            shapes={"tokens": (shape.tokens, shape.columns)},
            effort=_EFFORT,
        )
        if time.ratio is not None:
            ratios[share] = time.ratio
    return ratios
