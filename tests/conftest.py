"""What all tests share: the real data and model where they are, and a tiny tokenizer."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import settings

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

SHARED = Path(__file__).parents[2] / "shared"
WORDS = "the a cat dog car runs sleeps barks red blue is not and it , . ? !"

# The same inputs every time, so that a test fails for what was changed and for nothing else.
# `pytest --hypothesis-profile=default` searches others.
settings.register_profile("repeatable", derandomize=True)
settings.load_profile("repeatable")


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    """Keeps tests that run side by side from fighting for cores."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps tests out of the user's cache; they share one of their own."""
    folder = tmp_path_factory.getbasetemp() / "sparsebench-cache"
    monkeypatch.setenv("SPARSEBENCH_CACHE", str(folder))


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of the real data: ``glue``, ``squad``, ``e2e``."""
    return _existing("SPARSEBENCH_DATA", SHARED / "data", what="real data")


@pytest.fixture(scope="session")
def model_folder() -> Path:
    """The folder of the real pretrained model, in the format of ``save_pretrained``."""
    folder = _existing("SPARSEBENCH_MODELS", SHARED / "models", what="real models")
    return _existing("", folder / "minilm-l6-h384", what="the real pretrained model")


@pytest.fixture(scope="session")
def word_tokenizer() -> PreTrainedTokenizerFast:
    """A BERT-like tokenizer with a token for each of ``WORDS``."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *WORDS.split()]
    backend = Tokenizer(models.WordLevel({n: i for i, n in enumerate(names)}, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Whitespace()
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]",
        pair="[CLS] $A [SEP] $B:1 [SEP]:1",
        special_tokens=[("[CLS]", 2), ("[SEP]", 3)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
    )


def _existing(variable: str, default: Path, *, what: str) -> Path:
    folder = Path(os.environ.get(variable) or default)
    if not folder.is_dir():
        pytest.skip(f"{what}: no folder {folder}")
    return folder
