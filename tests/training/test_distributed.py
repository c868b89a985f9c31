"""Several processes train one model as a single one would."""

from __future__ import annotations

import importlib.util
import os
from typing import TYPE_CHECKING

import pytest
import torch
from side_by_side import Case, losses, side_by_side
from torch import distributed

from sparsebench.method_registry import METHODS
from sparsebench.training.distributed import ProcessGroup

if TYPE_CHECKING:
    from pathlib import Path

NO_DROPOUT = {"dropout": 0.0}
MICRO_BATCHES = {"micro_batch_size": 2}
SETTINGS = {
    "lora": NO_DROPOUT,
    "deft": {"settings": NO_DROPOUT},
    "ada_deft": {"settings": NO_DROPOUT},
    "peft": {"tuner": "adalora"},
}
CASES = (
    *(Case(name, SETTINGS.get(name, {})) for name in sorted(METHODS) if name != "qlora"),
    Case("full", kind="t5"),
    Case("dsee", kind="t5", training={"group_by_length": False}),
    Case("full", kind="t5", training=MICRO_BATCHES),
)


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> list[list[list[float]]]:
    """What each of two processes saw of every case."""
    return side_by_side(CASES, tmp_path_factory.mktemp("side-by-side"))


@pytest.mark.parametrize("place", range(len(CASES)), ids=lambda place: CASES[place].name)
def test_every_method_trains_on_two_as_on_one(
    place: int, seen: list[list[list[float]]], tmp_path: Path
) -> None:
    first, second = (each[place] if place < len(each) else each[-1] for each in seen)
    assert first == second
    # DEFT's penalty is a mean over the tokens of each share, not over those of the batch
    apart = 2e-3 if "deft" in CASES[place].method else 1e-5
    assert first == pytest.approx(losses(CASES[place], tmp_path), rel=apart)


def test_micro_batches_on_two_train_like_whole_batches_on_one(
    seen: list[list[list[float]]], tmp_path: Path
) -> None:
    whole = losses(Case("full", kind="t5"), tmp_path)
    for place, case in enumerate(CASES):
        if case.training == MICRO_BATCHES:
            assert seen[0][place] == pytest.approx(whole, rel=1e-4)


def test_the_first_alone_evaluates_and_selects(tmp_path: Path) -> None:
    case = Case("magnitude", evaluations=4)
    (first,), (second,) = side_by_side([case], tmp_path)
    alone = losses(case, tmp_path / "alone")
    assert first == pytest.approx(alone, rel=1e-5)
    assert len(alone) == 8 + 4
    assert second == first[:8]


def test_a_single_process_is_a_group_of_its_own(tmp_path: Path) -> None:
    before = dict(os.environ)
    group = ProcessGroup()
    with group.joined():
        assert not distributed.is_initialized()
        group.barrier()
        group.check_equal_weights(torch.nn.Linear(2, 2))
        assert (group.broadcast(3), group.is_main) == (3, True)
        torch.manual_seed(1)
        with group.shared_random_state(7):
            drawn = torch.rand(1)
    assert drawn == torch.rand(1, generator=torch.Generator().manual_seed(1))
    assert dict(os.environ) == before


@pytest.mark.skipif(not importlib.util.find_spec("bitsandbytes"), reason="needs bitsandbytes")
def test_quantized_weights_train_on_two(tmp_path: Path) -> None:
    first, second = side_by_side([Case("qlora", NO_DROPOUT)], tmp_path)
    assert first == second
    assert len(first[0]) == 8
