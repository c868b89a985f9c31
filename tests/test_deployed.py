"""What ships is saved whole, comes back the same, and is refused by name when it is broken."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import torch
from method_steps import largest_difference, predict, round_trip
from safetensors.torch import load_file, save_file
from tiny_models import KINDS, tiny_backbone, tiny_batch

from sparsebench import Form, UserError, load
from sparsebench.deployed import compress, read_record, save
from sparsebench.models import anatomy_of
from sparsebench.sparsity.removal import remove_ffn, remove_heads, remove_neurons

if TYPE_CHECKING:
    from pathlib import Path

    from transformers import PreTrainedTokenizerFast


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A deployed BERT classifier."""
    backbone = tiny_backbone("bert")
    round_trip(backbone.model, backbone, tmp_path / "deployed")
    return tmp_path / "deployed"


@pytest.mark.parametrize("kind", KINDS)
def test_removed_parts_come_back_removed(kind: str, tmp_path: Path) -> None:
    backbone = tiny_backbone(kind)
    model, batch = backbone.model.eval(), tiny_batch(backbone)
    blocks = backbone.anatomy.blocks
    remove_heads(model, blocks[0].attentions[0], [1, 2])
    remove_heads(model, blocks[-1].attentions[-1], [0])
    assert blocks[0].ffn is not None
    remove_neurons(model, blocks[0].ffn, range(5))
    remove_ffn(model, blocks[-2])
    loaded = round_trip(model, backbone, tmp_path / "deployed")
    assert anatomy_of(loaded) == anatomy_of(model)
    a, b = (predict(each, batch, backbone.form) for each in (model, loaded))
    assert largest_difference(a, b) < 1e-5


@pytest.mark.parametrize("kind", ["t5", "flan-t5", "gpt2"])
def test_tied_weights_are_stored_once_and_stay_tied(kind: str, tmp_path: Path) -> None:
    backbone = tiny_backbone(kind)
    loaded = round_trip(backbone.model, backbone, tmp_path / "deployed")
    assert loaded.lm_head.weight is loaded.get_input_embeddings().weight
    stored = load_file(str(tmp_path / "deployed" / "model.safetensors"))
    values = sum(p.numel() for p in backbone.model.parameters())
    assert sum(tensor.numel() for tensor in stored.values()) == values
    assert sum(p.numel() for p in loaded.parameters()) == values


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_dtype_is_kept(dtype: torch.dtype, tmp_path: Path) -> None:
    backbone = tiny_backbone("bert")
    loaded = round_trip(backbone.model.to(dtype), backbone, tmp_path / "deployed")
    assert {parameter.dtype for parameter in loaded.parameters()} == {dtype}


def test_configurations_are_kept(tmp_path: Path) -> None:
    backbone = tiny_backbone("gpt2", attention="eager", pad_token_id=7)
    backbone.model.generation_config.max_new_tokens = 3
    loaded = round_trip(backbone.model, backbone, tmp_path / "deployed")
    assert loaded.config.pad_token_id == 7
    assert loaded.config._attn_implementation == "eager"
    assert loaded.generation_config.max_new_tokens == 3
    assert not loaded.training


def test_scaling_of_the_output_is_kept(tmp_path: Path) -> None:
    for kind, scaled in (("t5", True), ("flan-t5", False)):
        backbone = tiny_backbone(kind)
        loaded = round_trip(backbone.model, backbone, tmp_path / kind)
        assert loaded.config.scale_decoder_outputs is scaled


def test_the_folder_is_one_that_transformers_reads(folder: Path) -> None:
    from transformers import AutoModelForSequenceClassification

    backbone = tiny_backbone("bert")
    theirs = AutoModelForSequenceClassification.from_pretrained(str(folder)).eval()
    batch = tiny_batch(backbone)
    a, b = (predict(each, batch, backbone.form) for each in (theirs, load(folder)))
    assert largest_difference(a, b) < 1e-6


def test_the_tokenizer_ships(word_tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    backbone = tiny_backbone("bert")
    save(backbone.model, tmp_path / "d", form=backbone.form, tokenizer=word_tokenizer)
    theirs = AutoTokenizer.from_pretrained(str(tmp_path / "d"), local_files_only=True)
    assert theirs("the cat")["input_ids"] == word_tokenizer("the cat")["input_ids"]


def test_the_record_tells_form_and_head(folder: Path) -> None:
    record = read_record(folder)
    assert record.form is Form.CLASSIFICATION
    assert record.head == ("classifier.bias", "classifier.weight")
    assert record.removed == {}
    assert record.adapter is None


def test_nothing_that_must_be_unpickled_is_written(folder: Path) -> None:
    assert {file.suffix for file in folder.iterdir()} == {".json", ".safetensors"}


def test_loading_leaves_the_random_state_alone(folder: Path) -> None:
    torch.manual_seed(3)
    load(folder)
    after = torch.rand(4)
    torch.manual_seed(3)
    assert torch.equal(after, torch.rand(4))


def test_a_save_replaces_what_was_there(folder: Path) -> None:
    (folder / "stale.txt").write_text("old")
    backbone = tiny_backbone("gpt2")
    loaded = round_trip(backbone.model, backbone, folder)
    assert type(loaded) is type(backbone.model)
    assert not (folder / "stale.txt").exists()


def test_a_save_that_fails_leaves_what_was_there(folder: Path) -> None:
    before = {file.name: file.read_bytes() for file in folder.iterdir()}
    backbone = tiny_backbone("bert")
    backbone.model.register_parameter("mask", torch.nn.Parameter(torch.ones(2)))
    with pytest.raises(UserError, match="'mask'"):
        save(backbone.model, folder, form=backbone.form)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before
    assert [each.name for each in folder.parent.iterdir()] == ["deployed"]


def test_a_parametrization_left_behind_is_refused(tmp_path: Path) -> None:
    backbone = tiny_backbone("bert")
    query = backbone.model.get_submodule("bert.encoder.layer.0.attention.self.query")
    torch.nn.utils.parametrize.register_parametrization(query, "weight", torch.nn.Identity())
    with pytest.raises(UserError, match=r"attention\.self\.query.*deploy\(\) must merge"):
        save(backbone.model, tmp_path / "deployed", form=backbone.form)


def test_no_model_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not a deployed model"):
        load(tmp_path / "nowhere")


@pytest.mark.parametrize("file", ["deployed.json", "config.json", "model.safetensors"])
@pytest.mark.parametrize("damage", ["missing", "torn", "empty"])
def test_a_broken_file_is_named(file: str, damage: str, folder: Path) -> None:
    path = folder / file
    if damage == "missing":
        path.unlink()
    else:
        path.write_bytes(b"" if damage == "empty" else path.read_bytes()[:100])
    with pytest.raises(UserError, match=file.replace(".", r"\.")):
        load(folder)


def test_a_later_layout_is_refused(folder: Path) -> None:
    record = json.loads((folder / "deployed.json").read_text())
    (folder / "deployed.json").write_text(json.dumps({**record, "format": 2}))
    with pytest.raises(UserError, match=r"deployed\.json: format"):
        load(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"extra": torch.ones(1)}, "'extra' is missing in the file or in the model"),
        ({"classifier.weight": None}, "'classifier.weight' is missing"),
        ({"classifier.weight": torch.ones(3, 32)}, r"shape \[3, 32\], not \[2, 32\]"),
    ],
)
def test_tensors_that_do_not_fit_are_named(
    change: dict[str, Any], message: str, folder: Path
) -> None:
    path = str(folder / "model.safetensors")
    tensors = {**load_file(path), **change}
    save_file({k: v for k, v in tensors.items() if v is not None}, path)
    with pytest.raises(UserError, match=message):
        load(folder)


@pytest.mark.parametrize("kind", KINDS)
def test_a_compressed_folder_loads_to_the_same_model(kind: str, tmp_path: Path) -> None:
    backbone = tiny_backbone(kind)
    for matrix in backbone.anatomy.matrices():
        matrix.weight(backbone.model).data[:, 2:] = 0
    save(backbone.model, tmp_path / "dense", form=backbone.form, head=backbone.head)
    compress(tmp_path / "dense", tmp_path / "sparse")
    dense, sparse = (load(tmp_path / name).state_dict() for name in ("dense", "sparse"))
    assert dense.keys() == sparse.keys()
    assert all(torch.equal(tensor, sparse[name]) for name, tensor in dense.items())
    assert size(tmp_path / "sparse") < 0.6 * size(tmp_path / "dense")
    with pytest.raises(UserError, match="already exists"):
        compress(tmp_path / "dense", tmp_path / "sparse")


def size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.iterdir())
