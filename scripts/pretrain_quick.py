"""Pretrain the four tiny backbones of the quick suite on its toy language.

    python scripts/pretrain_quick.py --family bert --out sparsebench/quick/backbones

BERT and RoBERTa fill in hidden words. GPT-2 predicts the next word. T5 restores the whole text or
answers a question, from texts with hidden words. GPT-2 and T5 also detect exchanged words (as
ELECTRA does; the detector is discarded), and T5 answers in one word whether there is any, since it
answers every later task in this way. Each family takes minutes on one core. The output is what
``AutoModel`` and ``AutoTokenizer`` load; weights are stored in fp16, and loaded and trained in
fp32.
"""

from __future__ import annotations

import argparse
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSeq2SeqLM,
    PreTrainedTokenizerFast,
)

from sparsebench.quick import lexicon
from sparsebench.quick.documents import Document, documents
from sparsebench.quick.examples import draw_examples
from sparsebench.quick.language import acceptable
from sparsebench.quick.lexicon import END, MASK, PAD, START, UNKNOWN, vocabulary

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

WORDS = {word: place for place, word in enumerate(vocabulary())}
UNKNOWN_ID = WORDS[UNKNOWN]
IGNORED = -100
BATCH = 64
CHOSEN = 0.25
"""The share of words that a masked language model has to find."""
MASKED, EXCHANGED = 0.5, 0.4
"""Of these, the share that is masked, and the share that is exchanged by another word."""
DETECTING = ("gpt2", "t5")
"""The families that also learn to tell exchanged words."""
FITTING = 0.5
"""For these, the share of exchanges by a word that may stand in the same place; the rest by any."""
ASKED = 0.25
"""The share of T5's documents of whose first sentence it is asked whether it has a wrong word."""
NUMBER = 0.5
"""In these, the share of exchanges by the same word in the other number, before all others."""
LEARNING_RATE = 2e-3
STEPS = {"bert": 2500, "roberta": 2500, "gpt2": 2500, "t5": 3500}
ENCODER = {
    "hidden_size": 128,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 256,
    "max_position_embeddings": 66,
    "initializer_range": 0.08,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
}
CONFIGS: dict[str, dict[str, Any]] = {
    "bert": ENCODER,
    "roberta": {**ENCODER, "type_vocab_size": 1},
    "gpt2": {
        "n_embd": 128,
        "n_layer": 3,
        "n_head": 4,
        "n_inner": 256,
        "n_positions": 66,
        "initializer_range": 0.08,
        "resid_pdrop": 0.0,
        "embd_pdrop": 0.0,
        "attn_pdrop": 0.0,
    },
    "t5": {
        "d_model": 128,
        "d_kv": 32,
        "d_ff": 256,
        "num_layers": 3,
        "num_decoder_layers": 2,
        "num_heads": 4,
        "dropout_rate": 0.0,
        "relative_attention_num_buckets": 64,
        "relative_attention_max_distance": 128,
        "decoder_start_token_id": WORDS[PAD],
    },
}
TEMPLATES = {
    "bert": (f"{START} $A {END}", f"{START} $A {END} $B:1 {END}:1"),
    "roberta": (f"{START} $A {END}", f"{START} $A {END} {END} $B {END}"),
    "gpt2": ("$A", "$A $B"),
    "t5": (f"$A {END}", f"$A $B {END}"),
}
Batch = dict[str, torch.Tensor]


def make_tokenizer(family: str) -> PreTrainedTokenizerFast:
    """Return a tokenizer with a token for each word, joining pairs as the family does."""
    backend = Tokenizer(models.WordLevel(WORDS, unk_token=UNKNOWN))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    single, pair = TEMPLATES[family]
    backend.post_processor = processors.TemplateProcessing(
        single=single, pair=pair, special_tokens=[(t, WORDS[t]) for t in (START, END)]
    )
    types = ["token_type_ids"] if family == "bert" else []
    edges = {"cls_token": START, "sep_token": END} if family in ("bert", "roberta") else {}
    return PreTrainedTokenizerFast(
        tokenizer_object=backend,
        model_input_names=["input_ids", *types, "attention_mask"],
        model_max_length=64,
        pad_token=PAD,
        unk_token=UNKNOWN,
        mask_token=MASK,
        bos_token=START,
        eos_token=END,
        **edges,
    )


def make_model(family: str) -> Any:
    """Return an untrained model with its pretraining head."""
    ids = {
        "pad_token_id": WORDS[PAD],
        "bos_token_id": WORDS[START],
        "eos_token_id": WORDS[END],
    }
    config = AutoConfig.for_model(family, vocab_size=len(WORDS), **ids, **CONFIGS[family])
    kinds = {"gpt2": AutoModelForCausalLM, "t5": AutoModelForSeq2SeqLM}
    return kinds.get(family, AutoModelForMaskedLM).from_config(config)


class Objective:
    """Documents as batches with labels.

    Args:
        family: The family to make them for.
        seed: What decides all that is drawn.
    """

    def __init__(self, family: str, *, seed: int) -> None:
        self.family = family
        self.tokenizer = make_tokenizer(family)
        self.generator = torch.Generator().manual_seed(seed)
        self.peers = _peers()
        other = lexicon.other_number()
        self.other_number = torch.tensor([WORDS[other.get(word, word)] for word in WORDS])

    def batch(self, batch: Sequence[Document]) -> Batch:
        """Return one batch of the family's own objective."""
        first = [document[0] for document in batch]
        rest = [" ".join(document[1:]) for document in batch]
        if self.family in ("bert", "roberta"):
            return self._hidden(self._encode(first, rest))
        if self.family == "t5":
            return self._answered(batch)
        inputs = self._encode([_as_text(document) for document in batch])
        return {**self._hidden(inputs), "whole": inputs["input_ids"], "labels": _labels(inputs)}

    def _answered(self, batch: Sequence[Document]) -> Batch:
        """Return prompts with hidden words, and their answers."""
        asked = torch.rand(len(batch), generator=self.generator) < ASKED
        prompts = [
            _as_prompt(document[:1]) + " ?" if ask else _as_prompt(document)
            for document, ask in zip(batch, asked.tolist(), strict=True)
        ]
        inputs = self._encode(prompts)
        hidden = {**self._hidden(inputs, numbers=asked), "whole": inputs["input_ids"]}
        spoilt = _exchanged(hidden).any(-1).tolist()
        told = [
            ("no" if spoilt[place] else "yes") if asked[place] else _answer(document)
            for place, document in enumerate(batch)
        ]
        return {**hidden, "labels": _labels(self._encode(told))}

    def _encode(self, *texts: list[str]) -> Batch:
        return dict(self.tokenizer(*texts, padding=True, return_tensors="pt"))

    def _hidden(self, inputs: Batch, *, numbers: torch.Tensor | None = None) -> Batch:
        """Hide some words: masked, exchanged by one that may stand in their place, or as is.

        In the rows of ``numbers``, words are also exchanged by their other number.
        """
        ids = inputs["input_ids"]
        chosen = (self._draw(ids) < CHOSEN) & (ids > UNKNOWN_ID)
        fate = self._draw(ids)
        shown = torch.where(chosen & (fate < MASKED), WORDS[MASK], ids)
        options = self.peers[ids]
        pick = (self._draw(ids) * (options >= 0).sum(-1)).long()
        peer = options.gather(-1, pick[..., None])[..., 0]
        if self.family in DETECTING:
            anything = UNKNOWN_ID + 1 + (self._draw(ids) * (len(WORDS) - UNKNOWN_ID - 1)).long()
            peer = torch.where(self._draw(ids) < FITTING, peer, anything)
        if numbers is not None:
            other = numbers[:, None] & (self._draw(ids) < NUMBER)
            peer = torch.where(other, self.other_number[ids], peer)
        exchanged = (fate >= MASKED) & (fate < MASKED + EXCHANGED)
        shown = torch.where(chosen & exchanged, peer, shown)
        return {**inputs, "input_ids": shown, "labels": ids.masked_fill(~chosen, IGNORED)}

    def _draw(self, like: torch.Tensor) -> torch.Tensor:
        return torch.rand(like.shape, generator=self.generator)


def _labels(answers: Batch) -> torch.Tensor:
    return answers["input_ids"].masked_fill(answers["attention_mask"] == 0, IGNORED)


def _exchanged(batch: Batch) -> torch.Tensor:
    """Return the positions of exchanged words; a masked word is not exchanged."""
    ids = batch["input_ids"]
    return (ids != batch["whole"]) & (ids != WORDS[MASK])


def _as_text(document: Document) -> str:
    return " ".join([*document, END])


def _as_prompt(document: Document) -> str:
    """Return the sentences of a document under the names of prompts, without the answer."""
    told = document[:1] if document[0].endswith("?") else document
    return " ".join(f"sentence{place}: {text}" for place, text in enumerate(told, 1))


def _answer(document: Document) -> str:
    """Return the answer to a question, without the full stop; of other documents, all."""
    if document[0].endswith("?"):
        return document[1].removesuffix(" .")
    return _as_prompt(document)


def _peers() -> torch.Tensor:
    """Return for each word the words that may stand in its place, filled up with -1."""
    frames = (
        "the {} rises .",
        "the {} rise .",
        "the robin {} .",
        "the robins {} .",
        "the robin is {} .",
        "the robin {} the cart .",
        "the robins {} the cart .",
        "{} robin rises .",
        "{} robins rise .",
    )
    groups = [[w for w in WORDS if acceptable(f.format(w).split())] for f in frames]
    rows = [next((group for group in groups if word in group), [word]) for word in WORDS]
    ids = [torch.tensor([WORDS[peer] for peer in row]) for row in rows]
    return torch.nn.utils.rnn.pad_sequence(ids, batch_first=True, padding_value=-1)


class Pretraining(torch.nn.Module):
    """A model with its objective's loss.

    Args:
        family: The family of the model.
    """

    def __init__(self, family: str) -> None:
        super().__init__()
        self.model = make_model(family)
        width = self.model.config.hidden_size
        self.detector = torch.nn.Linear(width, 1) if family in DETECTING else None

    def forward(self, batch: Batch) -> torch.Tensor:
        """Return the loss of a batch."""
        exchanged = _exchanged(batch) if "whole" in batch else None
        batch.pop("whole", None)
        outputs = self.model(**batch, output_hidden_states=True)
        loss: torch.Tensor = outputs.loss
        if self.detector is None or exchanged is None:
            return loss
        states = outputs.get("encoder_hidden_states") or outputs.hidden_states
        told = self.detector(states[-1])[..., 0]
        seen = batch["attention_mask"].bool()
        detection = torch.nn.functional.binary_cross_entropy_with_logits
        return loss + 2 * detection(told[seen], exchanged[seen].float())


def pretrain(family: str, *, steps: int, seed: int) -> Any:
    """Train one backbone; return it."""
    torch.manual_seed(seed)
    training, objective = Pretraining(family), Objective(family, seed=seed)
    optimizer = torch.optim.AdamW(
        training.parameters(), lr=LEARNING_RATE, weight_decay=0.01, betas=(0.9, 0.98)
    )
    warmup = steps // 20
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warmup, (steps - step) / (steps - warmup))
    )
    stream, losses, began = _stream(seed), list[float](), time.perf_counter()
    for step in range(1, steps + 1):
        loss = training(objective.batch([next(stream) for _ in range(BATCH)]))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(training.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
        losses.append(loss.item())
        if step % 250 == 0:
            recent = math.fsum(losses[-250:]) / 250
            minutes = (time.perf_counter() - began) / 60
            print(f"{family} {step}/{steps} loss {recent:.3f} {minutes:.1f} min", flush=True)
    return training.model


def _stream(seed: int) -> Iterator[Document]:
    """Yield documents that share no sentence with any development set."""
    tasks = ("toy-cola", "toy-mrpc", "toy-sts")
    dev = [example for task in tasks for example in draw_examples(task, "dev")]
    texts = {e["sentence1"] for e in dev} | {e.get("sentence2", "") for e in dev}
    return documents(seed, without=texts - {""})


def save(model: Any, family: str, folder: Path) -> None:
    """Write model and tokenizer as ``AutoModel`` and ``AutoTokenizer`` load them."""
    model.half().save_pretrained(folder)
    make_tokenizer(family).save_pretrained(folder)


def main() -> None:
    """Read the command line, pretrain and save."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--family", choices=[*CONFIGS, "all"], default="all")
    parser.add_argument("--out", type=Path, default=Path("sparsebench/quick/backbones"))
    parser.add_argument(
        "--steps",
        type=int,
        help="Instead of the 2,500, for T5 3,500, of those that come with the package.",
    )
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for family in CONFIGS if arguments.family == "all" else [arguments.family]:
        model = pretrain(family, steps=arguments.steps or STEPS[family], seed=arguments.seed)
        save(model, family, arguments.out / family)


if __name__ == "__main__":
    main()
