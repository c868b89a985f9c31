"""Profiles are kept whole, found by their condition, and refused by name when they are broken."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from factories import make_costs

from sparsebench.results.profiles import (
    ProfileResult,
    ProfileSpec,
    ProfileStore,
    profile_key,
    read_profile,
)
from sparsebench.results.records import Status
from sparsebench.results.stored_run import CorruptResultError
from sparsebench.schema.spec import MethodChoice

if TYPE_CHECKING:
    from pathlib import Path


def make_profile(**changed: Any) -> ProfileResult:
    spec = ProfileSpec(
        **{
            "model": "random:bert-base",
            "model_fingerprint": "f",
            "method": MethodChoice(label="lora", name="lora", version="1", settings={"r": 8}),
            "trained": False,
            "form": "classification",
            "device": "cpu",
            "hardware": "A processor, 1 threads",
            "dtype": "float32",
            "attention": "sdpa",
            "batch_size": 8,
            "length": 128,
            "target_length": 8,
            **changed,
        }
    )
    return ProfileResult(
        key=profile_key(spec), spec=spec, status=Status.OK, costs=make_costs(), notes=("a note",)
    )


def test_a_profile_comes_back_as_it_was(tmp_path: Path) -> None:
    store, made = ProfileStore(tmp_path / "new"), make_profile()
    assert store.find(made.spec) is None
    store.write(made)
    assert store.find(made.spec) == made
    assert [file.suffix for file in store.root.iterdir()] == [".json"]


@pytest.mark.parametrize(
    "changed", [{"batch_size": 1}, {"dtype": "bfloat16"}, {"hardware": "Another"}, {"generate": 4}]
)
def test_another_condition_is_another_profile(tmp_path: Path, changed: dict[str, Any]) -> None:
    store = ProfileStore(tmp_path)
    store.write(make_profile())
    other = make_profile(**changed)
    assert store.find(other.spec) is None
    store.write(other)
    assert len(list(store)) == 2


def test_a_store_without_a_folder_keeps_nothing() -> None:
    store, made = ProfileStore(None), make_profile()
    store.write(made)
    assert store.find(made.spec) is None
    assert list(store) == []


def test_a_broken_profile_is_named(tmp_path: Path) -> None:
    file = tmp_path / "a--b.json"
    file.write_text('{"key": "x"}')
    with pytest.raises(CorruptResultError, match=r"a--b\.json: "):
        read_profile(file)
