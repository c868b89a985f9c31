"""The outcomes of a check, and the texts that say why."""

from __future__ import annotations

import traceback
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from sparsebench.errors import one_line

if TYPE_CHECKING:
    from collections.abc import Collection

    from torch import Tensor, nn

TOLERANCE = 1e-4
"""The largest difference that rounding explains, as a share of the largest logit."""

_LIBRARIES = frozenset(
    {"accelerate", "contextlib", "datasets", "numpy", "peft", "pytest", "sparsebench", "torch"}
    | {"tokenizers", "transformers"}
)


class CheckFailed(AssertionError):  # noqa: N818 - an outcome, as pytest names its own
    """The method fails the check; the message says what was seen."""


class NotApplicable(Exception):  # noqa: N818 - an outcome
    """The method makes no claim that the check is about; the message says which."""


class CheckOutcome(StrEnum):
    """The outcome of a check."""

    PASS = "pass"  # noqa: S105 - no password
    FAIL = "fail"
    EXPECTED = "expected"
    """The check fails, and the method lists it in ``expected_failures``."""

    NOT_APPLICABLE = "not applicable"


def error_text(error: BaseException, *, limit: int = 200) -> str:
    """Return the first line of an error's message, shortened, and where the method raised it.

    The place is the last one outside the libraries that a method calls.
    """
    line = one_line(error).strip() or "no message"
    message = line if len(line) <= limit else f"{line[:limit]}…"
    places = [
        f"{Path(frame.f_code.co_filename).parent.name}/{Path(frame.f_code.co_filename).name}:{number}"
        for frame, number in traceback.walk_tb(error.__traceback__)
        if str(frame.f_globals.get("__name__")).partition(".")[0] not in _LIBRARIES
    ]
    return f"{message} ({places[-1]})" if places else message


def difference(
    found: tuple[Tensor, ...], wanted: tuple[Tensor, ...], *, tolerance: float = TOLERANCE
) -> str:
    """Return how far logits differ; empty if by no more than the tolerance."""
    shapes = [list(tensor.shape) for tensor in found], [list(tensor.shape) for tensor in wanted]
    if shapes[0] != shapes[1]:
        return f"the logits have the shapes {shapes[0]}, not {shapes[1]}"
    scale = max(1.0, *(tensor.abs().max().item() for tensor in wanted))
    apart = max(float((a - b).abs().max()) for a, b in zip(found, wanted, strict=True))
    return "" if apart <= tolerance * scale else f"logits differ by up to {apart:.2g}"


def state_difference(one: nn.Module, other: nn.Module) -> str:
    """Return which tensors of two models differ in any bit; empty if none does."""
    mine, yours = one.state_dict(), other.state_dict()
    if odd := mine.keys() ^ yours.keys():
        return f"only one of them has {some(odd)}"
    unequal = [name for name in mine if not torch.equal(mine[name], yours[name])]
    return f"{some(unequal)} differ" if unequal else ""


def some(names: Collection[str], *, limit: int = 2) -> str:
    """Return the first names in order, and the number of the others."""
    shown = ", ".join(sorted(names)[:limit])
    return shown if len(names) <= limit else f"{shown} and {len(names) - limit} more"
