"""Encoded tensors are smaller where there are zeros, and come back as they were."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from sparsebench.sparsity.encoding import encoded_bytes, load_encoded, save_encoded

if TYPE_CHECKING:
    from pathlib import Path


@given(
    shape=st.lists(st.integers(0, 9), min_size=0, max_size=3),
    share=st.floats(0, 1),
    dtype=st.sampled_from([torch.float32, torch.bfloat16, torch.int64, torch.bool]),
)
@settings(max_examples=60, deadline=None)
def test_every_tensor_comes_back(
    tmp_path_factory: pytest.TempPathFactory, shape: list[int], share: float, dtype: torch.dtype
) -> None:
    tensor = (torch.randn(shape) * 9 * (torch.rand(shape) < share)).to(dtype)
    file = tmp_path_factory.mktemp("encoded") / "file"
    save_encoded({"a": tensor, "b": torch.ones(3)}, file)
    back = load_encoded(file)
    assert back.keys() == {"a", "b"}
    assert back["a"].shape == tensor.shape
    assert torch.equal(back["a"], tensor)


def test_the_bytes_are_those_of_the_file_but_for_its_header(tmp_path: Path) -> None:
    sparse, dense = torch.zeros(64, 100), torch.ones(10, 10)
    sparse[0] = 1
    file = tmp_path / "file"
    save_encoded({"sparse": sparse, "dense": dense}, file)
    counted = encoded_bytes([sparse, dense])
    assert counted == 6400 // 8 + 100 * 4 + 400
    content = file.read_bytes()
    assert len(content) == 8 + int.from_bytes(content[:8], "little") + counted


def test_another_file_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"a": torch.ones(2)}, str(tmp_path / "file"))
    with pytest.raises(ValueError, match="does not name"):
        load_encoded(tmp_path / "file")
