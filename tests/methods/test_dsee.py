"""DSEE: exact counts, two stages, what is pruned, what is deployed."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

import pytest
import torch
from method_steps import (
    NO_DATA,
    largest_difference,
    predict,
    round_trip,
    snapshot,
    train_steps,
)
from sparsebench_methods.dsee import DSEE, DSEEConfig, Prune, Score, Support
from sparsebench_methods.dsee.pruning import coefficients
from sparsebench_methods.dsee.update import positions, residual
from tiny_models import KINDS, tiny_backbone, tiny_batch

from sparsebench.models import Role, anatomy_of, load_backbone, model_source
from sparsebench.models.families import Form
from sparsebench.profiling import dummy_inputs
from sparsebench.profiling.flops import count_flops
from sparsebench.results.costs import FlopStatus
from sparsebench.sparsity.branches import branches
from sparsebench.sparsity.sparse_update import LowRankAndSparse

if TYPE_CHECKING:
    from pathlib import Path

    from sparsebench import Backbone

TOKENS = 5752 * 128
"""Of the paper's count on STS-B: all examples of the training set, padded."""


def dsee(**settings: Any) -> DSEE:
    return DSEE(
        DSEEConfig.model_validate({"rank": 3, "entries": 5, "support": "random", **settings})
    )


def trained(method: DSEE, backbone: Backbone, *, stages: int = 2) -> Any:
    """Returns the training view after the first stages, two steps each."""
    view = method.prepare(backbone)
    for stage in method.stages()[:stages]:
        method.begin_stage(view, stage, NO_DATA)
        train_steps(method, view, tiny_batch(backbone))
    return view


def bert_base() -> Backbone:
    return load_backbone(
        model_source("random:bert-base"), form=Form.CLASSIFICATION, labels=("score",)
    )


class TestUpdate:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("prune", Prune)
    def test_starts_as_the_pretrained_model(self, kind: str, prune: Prune) -> None:
        backbone = tiny_backbone(kind)
        batch = tiny_batch(backbone)
        before = predict(backbone.model.eval(), batch, backbone.form)
        view = dsee(prune=prune).prepare(backbone)
        assert largest_difference(predict(view, batch, backbone.form), before) == 0

    @pytest.mark.parametrize("kind", KINDS)
    def test_trains_the_update_and_the_head_only(self, kind: str) -> None:
        backbone = tiny_backbone(kind)
        method = dsee()
        view = method.prepare(backbone)
        before = snapshot(view)
        train_steps(method, view, tiny_batch(backbone))
        for name, parameter in view.named_parameters():
            own = ".branches." in name or name in backbone.head
            assert parameter.requires_grad == own, name
            assert torch.equal(parameter, before[name]) != own, name

    @pytest.mark.parametrize(
        ("entries", "count"), [(0, 589_824), (16, 590_208), (64, 591_360), (128, 592_896)]
    )
    def test_trainable_values_on_bert_base(self, entries: int, count: int) -> None:
        backbone = bert_base()
        view = DSEE(DSEEConfig(entries=entries, support=Support.RANDOM)).prepare(backbone)
        names = {n: p.numel() for n, p in view.named_parameters() if p.requires_grad}
        assert sum(size for name, size in names.items() if name not in backbone.head) == count

    def test_scale_is_alpha_over_rank(self) -> None:
        backbone = tiny_backbone("bert")
        view = dsee(alpha=12.0, rank=3).prepare(backbone)
        update = next(iter(branches(view, LowRankAndSparse).values()))
        torch.nn.init.ones_(update.low.B)
        torch.nn.init.ones_(update.sparse.values)
        dense = torch.zeros(32, 32)
        dense[tuple(update.sparse.support)] = 1
        torch.testing.assert_close(update.delta(), 4 * (update.low.B @ update.low.A + dense))

    def test_the_seed_decides_and_the_global_generator_is_left_alone(self) -> None:
        def factors(seed: int) -> torch.Tensor:
            backbone = tiny_backbone("bert")
            torch.manual_seed(seed)
            state = torch.get_rng_state()
            view = dsee(support="grebsmo").prepare(backbone)
            assert torch.equal(torch.get_rng_state(), state)
            return next(iter(branches(view, LowRankAndSparse).values())).low.A

        assert torch.equal(factors(3), factors(3))
        assert not torch.equal(factors(3), factors(4))


class TestSupport:
    weight = torch.randn(8, 6, generator=torch.Generator().manual_seed(0))

    def choose(self, support: Support, *, groups: int = 1, entries: int = 4) -> torch.Tensor:
        generator = torch.Generator().manual_seed(1)
        return positions(self.weight, support, entries=entries, groups=groups, generator=generator)

    def test_magnitude(self) -> None:
        expected = self.weight.abs().flatten().argsort(descending=True)
        assert self.choose(Support.MAGNITUDE).tolist() == expected[:4].tolist()

    def test_those_that_stand_by_are_the_best_of_their_group(self) -> None:
        chosen = self.choose(Support.MAGNITUDE, groups=4)
        scores = self.weight.abs().flatten()[chosen]
        assert torch.equal(scores, scores.sort(descending=True).values)
        assert set(chosen[:4].tolist()) == set(self.choose(Support.MAGNITUDE).tolist())
        best = [self.weight[2 * g : 2 * g + 2].abs().flatten().topk(4).values for g in range(4)]
        assert torch.equal(scores, torch.cat(best).sort(descending=True).values)

    def test_random_positions_differ(self) -> None:
        assert len(set(self.choose(Support.RANDOM, entries=48).tolist())) == 48

    def test_grebsmo_is_the_algorithm_as_written_down(self) -> None:
        """Beside a literal transcription, which decomposes the whole rest in every round."""
        weight = torch.randn(40, 30, generator=torch.Generator().manual_seed(0)).double() / 20
        rows = torch.randn(1, 30, generator=torch.Generator().manual_seed(1)).double()
        for growing in (True, True, True, False):  # 1, 6, 11, 16 rows; 21 of 30 would be too many
            sparse = torch.zeros_like(weight)
            for _ in range(2):
                basis = torch.linalg.qr((weight - sparse) @ rows.T).Q
                rows = basis.T @ (weight - sparse)
                sparse = weight - basis @ rows
                sparse[sparse.abs() < 0.01] = 0
            rest = weight - basis @ rows - sparse
            if growing:
                rows = torch.cat([rows, torch.linalg.qr(rest).R[:5]])
        left = residual(weight, generator=torch.Generator().manual_seed(1))
        large = sparse != 0
        assert large.float().mean() > 0.5
        torch.testing.assert_close(left[large], sparse[large].float(), atol=1e-4, rtol=1e-3)
        assert left[~large].abs().max() < 0.011


class TestUnstructured:
    @pytest.mark.parametrize("kind", KINDS)
    def test_zeros_are_exact_in_each_pool(self, kind: str) -> None:
        method, backbone = dsee(sparsity=0.3), tiny_backbone(kind)
        view = trained(method, backbone)
        matrices = list(anatomy_of(view).matrices())
        adapted = [m.weight(view) for m in matrices if m.role in (Role.QUERY, Role.VALUE)]
        others = [m.weight(view) for m in matrices if m.role not in (Role.QUERY, Role.VALUE)]
        if kind == "bert":
            others.append(view.bert.pooler.dense.weight)
        for pool in (adapted, others):
            zeros = sum(int((weight == 0).sum()) for weight in pool)
            assert zeros == int(0.3 * sum(weight.numel() for weight in pool))
        frozen = method.frozen_sparsity(view)
        deployed = method.deploy(view)
        merged = [m.weight(deployed) for m in anatomy_of(deployed).matrices()]
        zeros = sum(int((weight == 0).sum()) for weight in merged)
        assert zeros / sum(weight.numel() for weight in merged) < frozen
        assert frozen == pytest.approx(0.3, abs=0.02)

    @pytest.mark.parametrize("score", Score)
    def test_adapted_matrices_are_ranked_by_the_score(self, score: Score) -> None:
        method, backbone = dsee(score=score, sparsity=0.5), tiny_backbone("bert")
        view = trained(method, backbone, stages=1)
        updates = branches(view, LowRankAndSparse)
        weights = torch.stack([m.weight(view) for m in updates]).detach().clone()
        deltas = torch.stack([update.delta() for update in updates.values()]).detach()
        ranks = {"update": deltas, "weight": weights, "merged": weights + deltas}[score].abs()
        method.begin_stage(view, method.stages()[1], NO_DATA)
        kept = torch.stack([m.weight(view) for m in updates]) != 0
        assert ranks[kept].min() >= ranks[~kept].max()

    def test_zeros_stay_through_the_second_stage(self) -> None:
        method, backbone = dsee(sparsity=0.4), tiny_backbone("gpt2")
        view = trained(method, backbone, stages=1)
        method.begin_stage(view, method.stages()[1], NO_DATA)
        before = method.frozen_sparsity(view)
        train_steps(method, view, tiny_batch(backbone))
        assert method.frozen_sparsity(view) == before
        assert method.penalty(view) is None


class TestStructured:
    @pytest.mark.parametrize("kind", KINDS)
    def test_removes_heads_and_neurons(self, kind: str) -> None:
        method = dsee(prune="structured", head_share=0.5, neuron_share=0.4)
        view = trained(method, tiny_backbone(kind))
        anatomy = anatomy_of(method.deploy(view))
        assert {a.heads for block in anatomy.blocks for a in block.attentions} == {2}
        left = [block.ffn.neurons for block in anatomy.blocks]
        whole = sum(b.ffn.neurons for b in tiny_backbone(kind).anatomy.blocks)
        assert sum(left) == whole - round(0.4 * whole)
        assert len(set(left)) > 1

    @pytest.mark.parametrize("kind", KINDS)
    def test_equals_the_whole_model_with_those_parts_silent(self, kind: str) -> None:
        """Of the first stage: what is removed is silenced there by its coefficient."""
        method, backbone = dsee(prune="structured", head_share=0.5), tiny_backbone(kind)
        view = trained(method, backbone, stages=1)
        silent = copy.deepcopy(view)
        for attention in (a for block in anatomy_of(view).blocks for a in block.attentions):
            updates = branches(view, LowRankAndSparse)
            scores = [updates[m].delta().abs() for m in (attention.query, attention.value)]
            lowest = sum(s.view(4, -1).sum(1) for s in scores).argsort()[:2]
            with torch.no_grad():
                coefficients(silent)[attention.output.path][lowest] = 0
        ffn = {b.ffn.down.path: b for b in anatomy_of(view).blocks}
        learned = torch.cat([coefficients(view)[path] for path in ffn])
        threshold = learned.sort().values[round(0.4 * learned.numel())]
        for path in ffn:
            values = coefficients(silent)[path]
            with torch.no_grad():
                values[values < threshold] = 0
        # an entry of the sparse update may be removed with its head, but none came with a value
        method.begin_stage(view, method.stages()[1], NO_DATA)
        batch = tiny_batch(backbone)
        expected = predict(silent.eval(), batch, backbone.form)[0]
        found = predict(view.eval(), batch, backbone.form)[0]
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)

    def test_says_how_it_has_rounded(self) -> None:
        method = dsee(prune="structured", head_share=0.4, neuron_share=0.5)
        backbone = tiny_backbone("bert")
        method.deploy(trained(method, backbone))
        heads = sum(a.heads for block in backbone.anatomy.blocks for a in block.attentions)
        assert heads == 6
        assert method.remarks() == ("removes 50.0% of the heads (6 of 12), not 40.0%: rounded",)

    def test_counts_of_the_update_after_removal(self) -> None:
        method = dsee(prune="structured", head_share=0.25, rank=3, entries=5)
        view = trained(method, tiny_backbone("gpt2"))
        for update in branches(view, LowRankAndSparse).values():
            assert update.low.B.shape == (24, 3)
            assert update.sparse.values.shape == (5,)
            assert int(update.sparse.support[0].max()) < 24

    def test_l1_penalty(self) -> None:
        method = dsee(prune="structured", l1=0.5)
        view = method.prepare(tiny_backbone("bert"))
        assert method.penalty(view).item() == pytest.approx(0.5 * 3 * (4 + 48))
        method.penalty(view).backward()
        assert all(
            torch.equal(c.grad, torch.full_like(c, 0.5)) for c in coefficients(view).values()
        )

    def test_some_neuron_stays_in_every_block(self) -> None:
        method = dsee(prune="structured", neuron_share=0.9)
        view = method.prepare(tiny_backbone("bert"))
        with torch.no_grad():
            coefficients(view)["bert.encoder.layer.1.output.dense"].zero_()
        method.begin_stage(view, method.stages()[1], NO_DATA)
        left = [block.ffn.neurons for block in anatomy_of(view).blocks]
        assert left[1] == 1
        assert sum(left) == 144 - 130


class TestPublishedTable:
    """`papers/dsee.md`: 6 x tokens x parameters, embedding matrices apart."""

    def count(self, model: Any) -> tuple[int, str]:
        size = model.num_parameters(exclude_embeddings=True)
        return size, f"{6 * TOKENS * size:.5e}"

    def test_before_pruning(self) -> None:
        assert self.count(bert_base().model) == (85_647_361, "3.78350e+14")
        lora = DSEE(DSEEConfig(support=Support.NONE)).prepare(bert_base())
        assert self.count(lora) == (86_237_185, "3.80956e+14")
        structured = DSEE(DSEEConfig(support=Support.NONE, prune=Prune.STRUCTURED))
        assert self.count(structured.prepare(bert_base())) == (86_274_193, "3.81119e+14")

    @pytest.mark.parametrize(
        ("removed", "size", "published", "fall"),
        [(3, 56_414_053, "2.49211e+14", 0.347), (4, 54_027_877, "2.38670e+14", 0.377)],
    )
    def test_heads_and_neurons_removed(
        self, removed: int, size: int, published: str, fall: float
    ) -> None:
        """And the multiply-adds that are traced on the deployed model fall as they should."""
        method = DSEE(
            DSEEConfig(
                prune=Prune.STRUCTURED,
                support=Support.RANDOM,
                entries=128,
                head_share=removed / 12,
                neuron_share=1229 / 3072,
            )
        )
        view = method.prepare(bert_base())
        method.begin_stage(view, method.stages()[1], NO_DATA)
        assert self.count(view) == (size, published)
        deployed: Any = method.deploy(view)
        blocks = anatomy_of(deployed).blocks
        assert {(b.attentions[0].heads, b.ffn.neurons) for b in blocks} == {(12 - removed, 1843)}
        assert self.count(deployed)[0] == size - 24 * (16 * (768 + 64 * (12 - removed)) + 128)
        whole, reduced = (self.traced(model) for model in (bert_base().model, deployed))
        assert round(1 - reduced / whole, 3) == fall

    def traced(self, model: Any) -> int:
        model = model.to("meta").eval()
        inputs = dummy_inputs(
            model.config, batch_size=1, length=128, target_length=1, device=torch.device("meta")
        )
        counted = count_flops(model, inputs)
        assert counted.status is FlopStatus.VERIFIED
        return counted.matrix


class TestLife:
    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("prune", Prune)
    def test_deploys_saves_and_loads(self, kind: str, prune: Prune, tmp_path: Path) -> None:
        method, backbone = dsee(prune=prune), tiny_backbone(kind)
        names = set(backbone.model.state_dict())
        view, batch = trained(method, backbone), tiny_batch(backbone)
        in_training = predict(view, batch, backbone.form)
        deployed = method.deploy(view)
        assert {n for n in deployed.state_dict() if not n.endswith("kept_heads")} == names
        before = predict(deployed, batch, backbone.form)
        scale = before[0].abs().max().item()
        assert largest_difference(before[:1], in_training[:1]) < 1e-5 * max(scale, 1)
        after = predict(round_trip(deployed, backbone, tmp_path / "m"), batch, backbone.form)
        assert largest_difference(after, before) < 1e-6

    @pytest.mark.parametrize("prune", Prune)
    @pytest.mark.parametrize("kind", ["bert", "t5"])
    def test_resumes_in_the_middle_of_the_second_stage(self, kind: str, prune: Prune) -> None:
        batch = tiny_batch(tiny_backbone(kind))
        method = dsee(prune=prune, head_share=0.5)
        view = trained(method, tiny_backbone(kind), stages=1)
        end_of_first = copy.deepcopy(view.state_dict())
        method.begin_stage(view, method.stages()[1], NO_DATA)
        train_steps(method, view, batch)
        checkpoint = copy.deepcopy(view.state_dict())
        expected = predict(view, batch, tiny_backbone(kind).form)

        again, backbone = dsee(prune=prune, head_share=0.5), tiny_backbone(kind, seed=9)
        resumed = again.prepare(backbone)
        resumed.load_state_dict(end_of_first, strict=True)
        again.begin_stage(resumed, again.stages()[1], NO_DATA)
        resumed.load_state_dict(checkpoint, strict=True)
        found = predict(resumed.eval(), batch, backbone.form)
        assert largest_difference(found, expected) == 0

    def test_stages_share_the_budget(self) -> None:
        shares = [stage.share for stage in dsee(tune_share=0.5).stages()]
        assert shares == [0.5, 0.5]
        assert sum(stage.share for stage in DSEE().stages()) == pytest.approx(1)

    @pytest.mark.parametrize("prune", Prune)
    def test_trains_in_bfloat16(self, prune: Prune) -> None:
        method, backbone = dsee(prune=prune), tiny_backbone("gpt2")
        view = method.prepare(backbone)
        for stage in method.stages():
            method.begin_stage(view, stage, NO_DATA)
            with torch.autocast("cpu", torch.bfloat16):
                loss = view(**tiny_batch(backbone)).loss
            loss.backward()
            assert torch.isfinite(loss)
        assert all(p.grad.dtype == p.dtype for p in view.parameters() if p.requires_grad)
