"""Batches are of like lengths, in an order that tells nothing, and fall into even shares."""

from __future__ import annotations

import random
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sparsebench.training.batches import TARGETS, WEIGHT, LengthGrouped, sharded, weigh
from sparsebench.training.distributed import ProcessGroup

LENGTHS = random.Random(0).choices(range(10, 100), k=3668)


def batches(sampler: LengthGrouped, size: int = 32) -> list[list[int]]:
    order = list(sampler)
    return [order[i : i + size] for i in range(0, len(order), size)]


@given(st.lists(st.integers(1, 9), min_size=1, max_size=70), st.integers(1, 9), st.integers(0, 3))
def test_every_example_comes_once_an_epoch(lengths: list[int], size: int, epoch: int) -> None:
    sampler = LengthGrouped(lengths, batch_size=size, seed=1)
    sampler.set_epoch(epoch)
    assert sorted(sampler) == list(range(len(lengths)))
    assert len(sampler) == len(lengths)


def test_little_is_padded() -> None:
    grouped = batches(LengthGrouped(LENGTHS, batch_size=32, seed=1))
    padded = sum(len(batch) * max(LENGTHS[i] for i in batch) for batch in grouped)
    assert padded < 1.15 * sum(LENGTHS)


def test_no_batch_tells_the_length_of_the_next() -> None:
    grouped = batches(LengthGrouped(LENGTHS, batch_size=32, seed=1))
    longest = [max(LENGTHS[i] for i in batch) for batch in grouped]
    falls = sum(after < before for before, after in pairwise(longest))
    assert 0.35 * len(longest) < falls < 0.65 * len(longest)


def test_the_order_is_that_of_seed_and_epoch() -> None:
    one, two = (LengthGrouped(LENGTHS, batch_size=32, seed=1) for _ in range(2))
    first = list(one)
    assert list(two) == first == list(one)
    one.set_epoch(1)
    assert list(one) != first
    assert list(LengthGrouped(LENGTHS, batch_size=32, seed=2)) != first
    two.set_epoch(1)
    assert list(two) == list(one)


@given(
    st.lists(
        st.lists(st.lists(st.sampled_from([-100, 5]), min_size=1), min_size=1, max_size=9),
        min_size=1,
        max_size=3,
    )
)
def test_the_shards_of_a_batch_weigh_as_many_tokens_as_they_have(
    micro_batches: list[list[list[int]]],
) -> None:
    total = sum(labels.count(5) for rows in micro_batches for labels in rows)
    weights = []
    for rank in range(3):
        group = ProcessGroup(rank, 3)
        collate = sharded(lambda own: {"rows": own}, group)
        shards = [collate([{"labels": labels} for labels in rows]) for rows in micro_batches]
        weigh(shards, group)
        for rows, shard in zip(micro_batches, shards, strict=True):
            own = sum(labels.count(5) for labels in rows[rank::3])
            weight = float(shard.pop(WEIGHT))
            assert weight == pytest.approx(3 * len(shards) * own / max(1, total))
            assert set(shard) == {"rows"}
            weights.append(weight)
    assert sum(weights) / len(weights) == pytest.approx(1 if total else 0)


def test_an_example_with_one_answer_counts_once() -> None:
    rows = [{"labels": 1.5}, {"start_positions": 3, "end_positions": 4}, {"labels": 0}]
    weights = []
    for rank in range(2):
        group = ProcessGroup(rank, 2)
        shards = [sharded(lambda _: {}, group)(rows)]
        weigh(shards, group)
        weights.append(float(shards[0][WEIGHT]))
    assert weights == pytest.approx([4 / 3, 2 / 3])


def test_a_language_model_predicts_no_first_token() -> None:
    rows = [{"labels": [5, 5, 5]}, {"labels": [-100, 5]}]
    collate = sharded(lambda _: {}, ProcessGroup(), shifts_labels=True)
    assert collate(rows)[TARGETS].tolist() == [3, 3]
