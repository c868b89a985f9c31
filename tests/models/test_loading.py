"""Model folders that do not load as they were saved are refused; heads are always fresh."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from sparsebench.errors import UserError
from sparsebench.models import Form, load_backbone, model_source
from sparsebench.models.sources import QUICK

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from sparsebench.models import Backbone

WEIGHTS = "model.safetensors"


@pytest.fixture
def copy(tmp_path: Path) -> Callable[[str], Path]:
    def of(family: str) -> Path:
        return shutil.copytree(QUICK / family, tmp_path / family)

    return of


def change_config(folder: Path, **values: Any) -> None:
    file = folder / "config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def change_tokenizer(folder: Path, **values: Any) -> None:
    file = folder / "tokenizer_config.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


def change_names(folder: Path, change: Callable[[str], str | None]) -> None:
    tensors = load_file(folder / WEIGHTS)
    renamed = {change(name): tensor for name, tensor in tensors.items()}
    renamed.pop(None, None)
    save_file(renamed, folder / WEIGHTS, metadata={"format": "pt"})


def classifier(folder: Path, labels: tuple[str, ...] = ("no", "yes")) -> Backbone:
    return load_backbone(model_source(str(folder)), form=Form.CLASSIFICATION, labels=labels)


@pytest.mark.parametrize("family", ["bert", "roberta", "gpt2"])
def test_inputs_are_padded_on_the_right(copy: Callable[[str], Path], family: str) -> None:
    change_tokenizer(folder := copy(family), padding_side="left")
    tokenizer = classifier(folder).tokenizer
    assert tokenizer is not None
    rows = tokenizer(["the robin", "the robin likes the swan ."], padding=True)
    assert rows["attention_mask"][0][0] == 1
    assert rows["attention_mask"][0][-1] == 0


class TestWeights:
    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda name: f"module.{name}", r"did not load: bert.*not used of the files: module\."),
            (lambda name: f"model.{name}", r"did not load: bert.*not used of the files: model\."),
            (lambda name: None if "layer.1." in name else name, r"layer\.1\..* \(missing\)"),
            (lambda name: None if "word_emb" in name else name, "word_embeddings.weight \\(miss"),
        ],
    )
    def test_that_do_not_load_are_named(
        self, copy: Callable[[str], Path], change: Callable[[str], str | None], message: str
    ) -> None:
        change_names(folder := copy("bert"), change)
        with pytest.raises(UserError, match=message):
            classifier(folder)

    @pytest.mark.parametrize(
        ("key", "message"),
        [
            ("intermediate_size", r"\[\d+, \d+\] in the file, \[96, \d+\] in the model"),
            ("num_hidden_layers", "did not load"),
            ("max_position_embeddings", "position_embeddings.weight"),
        ],
    )
    def test_of_another_shape_are_named(
        self, copy: Callable[[str], Path], key: str, message: str
    ) -> None:
        change_config(folder := copy("bert"), **{key: 96})
        with pytest.raises(UserError, match=message):
            classifier(folder)

    def test_that_are_not_used_are_logged(
        self, copy: Callable[[str], Path], caplog: pytest.LogCaptureFixture
    ) -> None:
        change_config(folder := copy("bert"), num_hidden_layers=2)
        classifier(folder)
        assert "not used of its files: bert.encoder.layer.2." in caplog.text

    def test_of_a_head_are_always_fresh(self, copy: Callable[[str], Path]) -> None:
        backbone = classifier(folder := copy("bert"), ("yes", "no"))
        backbone.model.classifier.weight.data.fill_(7)
        backbone.model.save_pretrained(str(folder))
        again = classifier(folder)
        weight = again.model.classifier.weight
        assert 0 < weight.std() < 0.1
        assert weight.abs().max() < 1
        assert {"classifier.weight", "classifier.bias"} <= again.head


class TestFiles:
    @pytest.mark.parametrize("family", ["bert", "roberta", "gpt2", "t5"])
    def test_without_a_tokenizer(self, copy: Callable[[str], Path], family: str) -> None:
        for file in (folder := copy(family)).glob("tokenizer*"):
            file.unlink()
        form = Form.TEXT_TO_TEXT if family == "t5" else Form.SPAN
        with pytest.raises(UserError, match="no tokenizer files"):
            load_backbone(model_source(str(folder)), form=form)

    def test_with_an_adapter(self, copy: Callable[[str], Path]) -> None:
        ((folder := copy("bert")) / "adapter_config.json").write_text("{}")
        with pytest.raises(UserError, match=r"adapter_config\.json describes an adapter"):
            classifier(folder)

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", "git-lfs pointer"),
            (b"", "model.safetensors is incomplete"),
            (b"\x00\x01", "model.safetensors is incomplete"),
            (b"\x08" + bytes(7) + b"not json", "model.safetensors is no safetensors file"),
        ],
    )
    def test_with_weights_that_are_none(
        self, copy: Callable[[str], Path], content: bytes, message: str
    ) -> None:
        ((folder := copy("bert")) / WEIGHTS).write_bytes(content)
        with pytest.raises(UserError, match=message):
            classifier(folder)

    def test_cut_anywhere(self, copy: Callable[[str], Path]) -> None:
        file = (folder := copy("bert")) / WEIGHTS
        content = file.read_bytes()
        for share in (0.001, 0.5, 0.999):
            file.write_bytes(content[: int(len(content) * share)])
            with pytest.raises(UserError, match=r"model\.safetensors is incomplete"):
                classifier(folder)

    def test_with_pickled_weights_only(self, copy: Callable[[str], Path]) -> None:
        folder = copy("bert")
        (folder / WEIGHTS).rename(folder / "pytorch_model.bin")
        with pytest.raises(UserError, match=r"only in a \*.bin file"):
            classifier(folder)


class TestConfigurations:
    def test_of_roberta_need_the_pad_id_of_the_tokenizer(self, copy: Callable[[str], Path]) -> None:
        change_config(folder := copy("roberta"), pad_token_id=5)
        with pytest.raises(
            UserError, match=r"pad_token_id is 5 in config\.json and 0 in the token"
        ):
            classifier(folder)

    def test_with_a_pad_id_of_null_have_none(self, copy: Callable[[str], Path]) -> None:
        expected = classifier(folder := copy("roberta")).model.eval()
        change_config(folder, pad_token_id=None)
        source = model_source(str(folder))
        assert source.positions is not None
        model = classifier(folder).model.eval()
        assert model.config.pad_token_id == expected.config.pad_token_id
        inputs = torch.tensor([[5, 6, 7, 0, 0]])
        states = [m.roberta(inputs, attention_mask=inputs.ne(0))[0] for m in (model, expected)]
        assert torch.equal(*states)

    @pytest.mark.parametrize("kind", ["relative_key", "relative_key_query"])
    def test_with_position_embeddings_that_are_gone(
        self, copy: Callable[[str], Path], kind: str
    ) -> None:
        change_config(folder := copy("bert"), position_embedding_type=kind)
        with pytest.raises(UserError, match=f"position_embedding_type is '{kind}'"):
            classifier(folder)

    @pytest.mark.parametrize(
        ("family", "key"),
        [("bert", "num_hidden_layers"), ("gpt2", "n_layer"), ("t5", "num_layers")],
    )
    def test_with_too_many_layers(self, copy: Callable[[str], Path], family: str, key: str) -> None:
        change_config(folder := copy(family), **{key: 100_000})
        form = Form.TEXT_TO_TEXT if family == "t5" else Form.SPAN
        with pytest.raises(UserError, match=f"{key} is 100,000; the limit is 1,000"):
            load_backbone(model_source(str(folder)), form=form)

    def test_with_fewer_embeddings_than_tokens(self, copy: Callable[[str], Path]) -> None:
        folder = copy("bert")
        tensors = load_file(folder / WEIGHTS)
        for name, tensor in tensors.items():
            if "word_embeddings" in name or name == "cls.predictions.bias":
                tensors[name] = tensor[:200].clone()
        save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
        change_config(folder, vocab_size=200)
        with pytest.raises(UserError, match=r"its tokenizer has \d+ tokens, its embedding 200"):
            classifier(folder)


def test_validate_finds_the_same_without_loading(copy: Callable[[str], Path]) -> None:
    model_source(str(folder := copy("bert"))).check()
    (folder / "tokenizer.json").unlink()
    with pytest.raises(UserError, match="no tokenizer files"):
        model_source(str(folder)).check()
    (folder / WEIGHTS).write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(UserError, match="git-lfs pointer"):
        model_source(str(folder)).check()
    change_config(folder, num_hidden_layers=100_000)
    with pytest.raises(UserError, match="num_hidden_layers is 100,000"):
        model_source(str(folder)).check()


def with_pooler(folder: Path, bias: float) -> Path:
    tensors = load_file(folder / WEIGHTS)
    prefix = "bert." if any(name.startswith("bert.") for name in tensors) else ""
    width = classifier(folder).model.config.hidden_size
    tensors[f"{prefix}pooler.dense.weight"] = torch.full((width, width), 0.01)
    tensors[f"{prefix}pooler.dense.bias"] = torch.full((width,), bias)
    save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})
    return folder


@pytest.mark.parametrize(
    ("bias", "note", "untrained"),
    [(0.0, None, True), (0.5, None, False), (0.5, True, True), (0.0, False, False)],
)
def test_a_pooler_that_was_never_trained_belongs_to_the_head(
    *, copy: Callable[[str], Path], bias: float, note: bool | None, untrained: bool
) -> None:
    folder = with_pooler(copy("bert"), bias)
    if note is not None:
        change_config(folder, untrained_pooler=note)
    backbone = classifier(folder)
    assert model_source(str(folder)).untrained_pooler is untrained
    assert ("bert.pooler.dense.weight" in backbone.head) is untrained
    weight = backbone.model.bert.pooler.dense.weight  # type: ignore[attr-defined]
    assert weight.eq(0.01).all()  # it starts from the values in the file
    backbone.freeze()
    assert weight.requires_grad is untrained


def test_a_pooler_that_the_files_lack_belongs_to_the_head(copy: Callable[[str], Path]) -> None:
    folder = copy("bert")
    assert not model_source(str(folder)).untrained_pooler
    assert "bert.pooler.dense.weight" in classifier(folder).head


@pytest.mark.parametrize("family", ["roberta", "gpt2", "t5"])
def test_families_whose_heads_read_no_pooler_have_none_to_train(family: str) -> None:
    assert not model_source(f"quick/{family}").untrained_pooler


def test_the_pooler_of_a_hub_model_is_read_without_its_other_weights(
    copy: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    import huggingface_hub as hub

    folder = with_pooler(copy("bert"), 0.0)

    class Remote:
        def exists(self, path: str) -> bool:
            return path == "owner/name@abc/model.safetensors"

        def open(self, path: str, mode: str) -> Any:
            return (folder / WEIGHTS).open("rb")

    source = model_source("owner/name")
    vars(source).update(fingerprint="abc", config={"model_type": "bert"})
    monkeypatch.setattr(hub, "HfFileSystem", Remote)
    assert source.untrained_pooler


def test_a_definition_that_names_a_module_that_is_not_there_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from sparsebench.models.families import FAMILIES

    definition = FAMILIES.get("bert")

    def blocks(model: torch.nn.Module) -> Any:
        for block in definition.blocks(model):
            assert block.ffn is not None
            yield replace(block, ffn=replace(block.ffn, activation=f"{block.path}.gelu"))

    wrong = replace(definition, blocks=blocks)
    monkeypatch.setattr(FAMILIES, "get", lambda _: wrong)
    with pytest.raises(UserError, match=r"'bert' names '.*\.gelu' in encoder block 0"):
        load_backbone(model_source("quick/bert"), form=Form.CLASSIFICATION, labels=("a", "b"))
