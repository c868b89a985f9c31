"""Every built-in method keeps the contract, with its defaults and in its other modes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sparsebench.conformance import parametrize_with_checks
from sparsebench.method_registry import METHODS, configure
from sparsebench.models import Family

if TYPE_CHECKING:
    from collections.abc import Callable

BUILT_IN = [name for name, e in METHODS.entries.items() if e.package.startswith("sparsebench ")]

MODES: list[tuple[str, dict[str, Any]]] = [
    ("distill", {"student": "movement", "hidden": 0.5}),
    ("dsee", {"prune": "structured"}),
    ("lt_sft", {"scope": "per_matrix"}),
    ("magnitude", {"mode": "one_shot"}),
    ("magnitude", {"pattern": "2:4"}),
    ("magnitude", {"pattern": "structured", "sparsity": 0.5}),
    ("movement", {"scope": "global"}),
    ("peft", {"tuner": "adalora"}),
    ("peft", {"tuner": "prefix_tuning"}),
    ("rosa", {"score": "gradient", "scope": "global", "warmup_share": 0}),
    ("sparse_mask", {"score": "fisher", "scope": "global"}),
    ("sparsegpt", {"pattern": "2:4"}),
    ("wanda", {"retune": "lora"}),
]


@parametrize_with_checks(BUILT_IN)
def test_keeps_the_contract(check: Callable[[], None]) -> None:
    check()


@parametrize_with_checks(
    [configure(name, settings) for name, settings in MODES], families=[Family.GPT2, Family.T5]
)
def test_keeps_the_contract_in_its_other_modes(check: Callable[[], None]) -> None:
    check()
