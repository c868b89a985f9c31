"""Generation is a prefill and a pass a token, counted both ways and timed."""

from __future__ import annotations

from typing import Any

import pytest
from tiny_models import tiny_backbone

from sparsebench.models import Form, anatomy_of
from sparsebench.profiling import TimingBudget, dummy_inputs
from sparsebench.profiling.closed_form import closed_form
from sparsebench.profiling.generation import count_generation
from sparsebench.profiling.generation_latency import generation_latency
from sparsebench.sparsity.removal import remove_heads, remove_neurons

WRITERS = {"gpt2": Form.LANGUAGE_MODEL, "t5": Form.TEXT_TO_TEXT, "flan-t5": Form.TEXT_TO_TEXT}
WIDTH, INNER, BLOCKS, VOCABULARY = 32, 48, 3, 50


def generator(kind: str, **config: Any) -> Any:
    return tiny_backbone(kind, form=WRITERS[kind], **config).model


@pytest.mark.parametrize("tokens", [1, 2, 7])
@pytest.mark.parametrize("attention", ["eager", "sdpa"])
@pytest.mark.parametrize("kind", WRITERS)
def test_counts_agree_with_the_closed_form(kind: str, attention: str, tokens: int) -> None:
    found = count_generation(generator(kind, attention=attention), prompt=9, tokens=tokens)
    assert found.deviation == 0
    assert found.uncounted == ()
    assert found.prefill > 0
    assert (found.decode == 0) == (tokens == 1)


def test_each_token_by_hand() -> None:
    found = count_generation(generator("gpt2", n_inner=INNER), prompt=10, tokens=3)
    matrices = 4 * WIDTH**2 + 2 * WIDTH * INNER
    head = WIDTH * VOCABULARY
    assert found.prefill == BLOCKS * (10 * matrices + 2 * 10 * 10 * WIDTH) + head
    assert found.decode == sum(BLOCKS * (matrices + 2 * keys * WIDTH) + head for keys in (11, 12))


def test_all_tokens_cost_less_with_a_cache_than_without() -> None:
    model = generator("gpt2")
    found = count_generation(model, prompt=10, tokens=5)
    without = sum(closed_form(model, {"input_ids": (1, 10 + n)}) for n in range(5))
    assert found.matrix < without / 3


@pytest.mark.parametrize("kind", WRITERS)
def test_removed_parts_are_not_written_with(kind: str) -> None:
    model = generator(kind)
    whole = count_generation(model, prompt=6, tokens=4)
    for block in anatomy_of(model).blocks:
        remove_heads(model, block.attentions[0], range(block.index))
        remove_neurons(model, block.ffn, range(10))
    left = count_generation(model, prompt=6, tokens=4)
    assert left.deviation == 0
    assert left.matrix < whole.matrix


def test_a_model_that_does_not_write_has_none() -> None:
    assert count_generation(tiny_backbone("bert").model, prompt=5, tokens=2) is None


@pytest.mark.parametrize("kind", WRITERS)
def test_prefill_and_tokens_are_timed_beside_the_backbone(kind: str) -> None:
    model = generator(kind).eval()
    inputs = dummy_inputs(model.config, batch_size=2, length=6)
    inputs = {name: inputs[name] for name in ("input_ids", "attention_mask")}
    timing = TimingBudget(warmup=1, rounds=6, seconds=0)
    times = generation_latency({"": model}, inputs, reference=model, timing=timing)
    reading, writing = times[""]
    assert len(reading.samples) == len(writing.reference_samples) == 6
    assert 0.1 < writing.ratio < 10
