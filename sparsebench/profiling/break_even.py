"""Find the sparsity above which the product of a runtime is faster than the dense product."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from sparsebench.models import Role, anatomy_of
from sparsebench.profiling.latency import TimingBudget, latency
from sparsebench.profiling.runtimes.base import MatrixShape
from sparsebench.results.costs import BreakEven

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from torch import nn

    from sparsebench.profiling.runtimes import Runtime

_TIMING = TimingBudget(warmup=1, rounds=12, seconds=0.05, limit=1.5)


def break_even(
    model: nn.Module,
    *,
    runtimes: Mapping[str, Runtime],
    tokens: int,
    device: torch.device,
    dtype: torch.dtype,
) -> Iterator[BreakEven]:
    """Yield a record for each runtime that skips something and each matrix shape of a model.

    A runtime that skips activations is measured only on the second matrix of the feed-forward
    networks, which they are multiplied with.

    Args:
        model: A plain model; only the shapes of its blocks' matrices are used.
        runtimes: The runtimes by name.
        tokens: Tokens that one product is applied to.
        device: The device to measure on.
        dtype: The type of the weights.
    """
    for name, runtime in runtimes.items():
        if runtime.skips is None:
            continue
        roles = (Role.FFN_OUT,) if runtime.skips == "activations" else ()
        for rows, columns in _shapes(model, *roles):
            shape = MatrixShape(rows=rows, columns=columns, tokens=tokens)
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
    """Return the sparsity above which all ratios are below 1, interpolated linearly.

    Args:
        ratios: Sparsity -> time over that of the dense product.

    Returns:
        The break-even sparsity: the lowest measured one if the runtime is faster there already,
        None if it is slower at the highest.
    """
    shares = sorted(ratios)
    slower = [share for share in shares if ratios[share] >= 1]
    if not slower:
        return shares[0]
    last = slower[-1]
    if last == shares[-1]:
        return None
    after = shares[shares.index(last) + 1]
    part = (ratios[last] - 1) / (ratios[last] - ratios[after])
    return last + part * (after - last)


def _shapes(model: nn.Module, *roles: Role) -> list[tuple[int, int]]:
    """Return the distinct shapes of a model's matrices."""
    sizes = [tuple(matrix.weight(model).shape) for matrix in anatomy_of(model).matrices(*roles)]
    return [(rows, columns) for rows, columns in dict.fromkeys(sizes)]


@torch.no_grad()
def _ratios(
    runtime: Runtime, shape: MatrixShape, *, device: torch.device, dtype: torch.dtype
) -> dict[float, float]:
    ratios: dict[float, float] = {}
    for share in runtime.shares:
        pair = runtime.kernel_pair(shape, share=share, device=device, dtype=dtype)
        if pair is None:
            continue
        time = latency(
            pair.runtime,
            reference=pair.dense,
            device=device,
            shapes={"tokens": (shape.tokens, shape.columns)},
            timing=_TIMING,
        )
        if time.ratio is not None:
            ratios[share] = time.ratio
    return ratios
