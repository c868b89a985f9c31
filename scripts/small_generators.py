"""Create a small GPT-2 and a small T5 with random weights, and a tokenizer of the E2E texts.

They learn E2E from scratch on a CPU in minutes, to see that training, generation and scoring work
on the real data:

    python scripts/small_generators.py DATA FOLDER
    sparsebench run e2e --data DATA --models FOLDER/gpt2,FOLDER/t5 --methods full ...

``DATA`` holds the official CSV files; ``FOLDER`` is created.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
)

from sparsebench.tasks import DataSource
from sparsebench.tasks.e2e import E2E

if TYPE_CHECKING:
    from collections.abc import Sequence

PAD, END = "<pad>", "</s>"
VOCABULARY = 2000
WIDTH, HEADS, DEPTH = 192, 4, 3
POSITIONS = 256


def main() -> None:
    """Write both folders."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    train = E2E.load(DataSource(arguments.data)).train
    texts = [f"{E2E.name} {E2E.prompt(mr)}" for mr in sorted(set(train["mr"]))]
    texts += [text for texts in train["references"] for text in texts]
    torch.manual_seed(0)
    tokenizer = _tokenizer(texts, ends=False)
    _gpt2(tokenizer).save_pretrained(arguments.folder / "gpt2")
    tokenizer.save_pretrained(arguments.folder / "gpt2")
    tokenizer = _tokenizer(texts, ends=True)
    _t5(tokenizer).save_pretrained(arguments.folder / "t5")
    tokenizer.save_pretrained(arguments.folder / "t5")


def _tokenizer(texts: Sequence[str], *, ends: bool) -> PreTrainedTokenizerFast:
    """Return a byte-pair tokenizer like that of GPT-2; ``ends`` adds an end token, as for T5."""
    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[PAD, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    backend.train_from_iterator(texts, trainer)
    if ends:
        backend.post_processor = processors.TemplateProcessing(
            single=f"$A {END}", pair=f"$A {END} $B {END}", special_tokens=[(END, 1)]
        )
    return PreTrainedTokenizerFast(tokenizer_object=backend, pad_token=PAD, eos_token=END)


def _gpt2(tokenizer: PreTrainedTokenizerFast) -> GPT2LMHeadModel:
    config = GPT2Config(
        vocab_size=len(tokenizer),
        n_positions=POSITIONS,
        n_embd=WIDTH,
        n_layer=DEPTH,
        n_head=HEADS,
        bos_token_id=tokenizer.eos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return GPT2LMHeadModel(config)


def _t5(tokenizer: PreTrainedTokenizerFast) -> T5ForConditionalGeneration:
    config = T5Config(
        vocab_size=len(tokenizer),
        d_model=WIDTH,
        d_kv=WIDTH // HEADS,
        d_ff=4 * WIDTH,
        num_layers=DEPTH,
        num_heads=HEADS,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        decoder_start_token_id=tokenizer.pad_token_id,
    )
    return T5ForConditionalGeneration(config)


if __name__ == "__main__":
    main()
