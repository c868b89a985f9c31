"""Each check catches the methods that are broken in its way, and a sound method passes all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

import broken_methods as broken
import pytest
from sound_method import Sound

from sparsebench import Family, Form
from sparsebench.conformance import (
    CHECKS,
    CheckOutcome,
    MethodUnderTest,
    check_method,
    process_state,
)
from sparsebench.errors import UnknownNameError, UserError
from sparsebench.models import BUILT_IN_FAMILIES
from sparsebench.sparsity import Masked, attach, fold

if TYPE_CHECKING:
    import torch

    from sparsebench import Backbone, Method
    from sparsebench.conformance import Check

SLOW = "schedules_go_by_progress"
RUNS = "runs_on_every_family"

CAUGHT: list[tuple[type[Method], str, str]] = [
    (broken.UndescribedSetting, "settings_have_defaults", "rank"),
    (broken.RoundsItsSettings, "settings_round_trip", "sparsity"),
    (broken.TakesAnySetting, "bad_settings_are_refused", "no_such_setting"),
    (broken.TwinStages, "stages_share_the_budget", "same name"),
    (broken.StartsElsewhere, "starts_pretrained", "starts_pretrained be False"),
    (broken.ForgetsAGroup, "trains_what_it_claims", "not in parameter_groups"),
    (broken.MovesTheFrozen, "frozen_values_stay", "embeddings"),
    (broken.DetachedPenalty, "penalty_is_differentiable", "no gradient"),
    (broken.ShipsSomethingElse, "ships_what_it_trained", "differ by"),
    (broken.LeavesAHook, "deploy_leaves_nothing_behind", "_forward_hooks"),
    (broken.ChangesWhatNoFileTells, "saves_and_loads", "differ by"),
    (broken.PrunesOneMore, "reaches_its_sparsity", "(10,854 of 21,504) are zero, not 0.5 (10,752)"),
    (broken.LetsTheOptimizerBack, "masked_weights_stay_zero", "step 4 of 8"),
    (broken.RemembersTheFirstRun, "another_seed_another_result", "1 and 2"),
    (broken.KeepsStateToItself, "survives_a_restart", "outside the model"),
    (broken.LearnsFromEvaluation, "evaluation_changes_nothing", "seen"),
    (broken.TeachesItsTeacher, "teacher_stays_unchanged", "changes the teacher"),
    (broken.OptimizerKeepsStateToItself, "survives_a_restart", "outside the model"),
    (broken.FailsUnderAutocast, "trains_in_bf16", "dtype"),
    (broken.SetsTheEnvironment, "leaves_the_process_alone", "before_step changes the environment"),
]
"""A broken method, the one check that it fails, and a part of what is said."""

ALSO: list[tuple[type[Method], str, str]] = [
    (broken.TakesAnyValue, "bad_settings_are_refused", "mode"),
    (broken.SharesNotAll, "stages_share_the_budget", "0.4"),
    (broken.RefusesWithoutReason, "runs_on_every_family", "t5 (text-to-text) without a reason"),
    (broken.TrainsTheFrozen, "trains_what_it_claims", "without requires_grad"),
    (broken.NeverMoves, "trains_what_it_claims", "never changes"),
    (broken.PenaltyWithBadGradient, "penalty_is_differentiable", "gradient of the penalty is not"),
    (broken.LeavesATensorHook, "deploy_leaves_nothing_behind", "parameters have hooks"),
    (broken.LeavesAForward, "deploy_leaves_nothing_behind", "forward of its own"),
    (broken.LeavesAWrapper, "deploy_leaves_nothing_behind", "Wrapper"),
    (broken.LeavesAWrapper, "saves_and_loads", "is not the plain model"),
    (broken.ShipsAnAdapter, "deploy_leaves_nothing_behind", "could be merged"),
    (broken.CountsSteps, SLOW, "after 5 steps"),
    (broken.DrawsFromNowhere, "same_seed_same_result", "differ"),
    (broken.SilencesWarnings, "leaves_the_process_alone", "prepare changes the warnings"),
    (broken.Reseeds, "leaves_the_process_alone", "before_step changes the seed"),
    (broken.ReseedsPython, "leaves_the_process_alone", "the generator of random"),
    (broken.TurnsGradientsOff, "leaves_the_process_alone", "deploy changes the gradient mode"),
    (broken.HooksAllModules, "leaves_the_process_alone", "begin_stage changes the hooks"),
    (broken.MovesElsewhere, "leaves_the_process_alone", "deploy changes the working folder"),
    (broken.ChangesTheDefaultType, "leaves_the_process_alone", "default dtype"),
    (broken.WakesItsTeacher, "teacher_stays_unchanged", "into training mode"),
    (broken.LooksLater, RUNS, "examples can be had in begin_stage only"),
    (broken.LossWithBadGradient, "penalty_is_differentiable", "gradient of the loss is not finite"),
    (broken.ForgetsToReturn, RUNS, "deploy: ForgetsToReturn.deploy returned NoneType"),
    (broken.RaisesWithoutWords, RUNS, "train: MuteError: its message cannot be read (RuntimeError"),
    (broken.ExitsThePython, RUNS, "prepare: SystemExit: 3 (tests/broken_methods.py"),
    (broken.RefusesWithAnError, RUNS, "MuteError: its message cannot be read"),
    (broken.PenaltyWithoutTensor, "penalty_is_differentiable", "no gradient"),
]
"""More of the like, which may fail other checks too, or of which only the one check is made."""


def _id(part: object) -> str:
    return getattr(part, "__name__", "")


def under_test(method: Method, *families: Family) -> MethodUnderTest:
    return MethodUnderTest(method, families=families or (Family.BERT,))


def check(name: str) -> Check:
    return next(check for check in CHECKS if check.name == name)


def test_a_sound_method_passes_every_check_on_every_family() -> None:
    results = list(check_method(under_test(Sound(), *BUILT_IN_FAMILIES)))
    others = {r.check.name: r.outcome for r in results if r.outcome is not CheckOutcome.PASS}
    assert others == {"teacher_stays_unchanged": CheckOutcome.NOT_APPLICABLE}  # it has no teacher


@pytest.mark.parametrize(("method", "name", "said"), CAUGHT, ids=_id)
def test_a_broken_method_fails_its_check_and_no_other(
    method: type[Method], name: str, said: str
) -> None:
    tested = under_test(method())
    results = [check.run(tested) for check in CHECKS if check.name != SLOW]
    failed = {result.check.name: result.note for result in results if result.outcome == "fail"}
    assert failed.keys() == {name}, failed
    assert said in failed[name]


@pytest.mark.parametrize(("method", "name", "said"), ALSO, ids=_id)
def test_a_broken_method_fails_its_check(method: type[Method], name: str, said: str) -> None:
    families = (Family.T5, Family.BERT) if name == "runs_on_every_family" else (Family.BERT,)
    result = check(name).run(under_test(method(), *families))
    assert result.outcome is CheckOutcome.FAIL
    assert said in result.note


def test_a_failure_that_is_expected_has_its_reason() -> None:
    class Forgiven(broken.RoundsItsSettings):
        expected_failures: ClassVar = {"settings_round_trip": "shows one digit"}

    results = {f.check.name: f for f in check_method(under_test(Forgiven()))}
    assert results["settings_round_trip"].outcome is CheckOutcome.EXPECTED
    assert "shows one digit (not equal: sparsity)" in results["settings_round_trip"].note


def test_an_expected_failure_that_passes_is_a_failure() -> None:
    class Forgiven(Sound):
        expected_failures: ClassVar = {"stages_share_the_budget": "the shares do not add up"}

    found = next(f for f in check_method(under_test(Forgiven())) if "stages" in f.check.name)
    assert found.outcome is CheckOutcome.FAIL
    assert "it passes, although expected_failures lists it" in found.note


def test_an_unknown_check_among_the_expected_failures_is_refused() -> None:
    class Forgiven(Sound):
        expected_failures: ClassVar = {"stages_share_budget": "the shares do not add up"}

    with pytest.raises(UnknownNameError, match="did you mean 'stages_share_the_budget'"):
        next(check_method(under_test(Forgiven())))


def test_a_method_that_does_not_run_fails_one_check_and_no_other_is_made_of_it() -> None:
    tested = under_test(broken.FailsOnT5(), Family.T5)
    results = {f.check.name: f for f in check_method(tested)}
    assert [name for name, f in results.items() if f.outcome is CheckOutcome.FAIL] == [
        "runs_on_every_family"
    ]
    assert "t5: prepare: AttributeError: 'T5Model'" in results["runs_on_every_family"].note
    assert results["saves_and_loads"].outcome is CheckOutcome.NOT_APPLICABLE
    assert "see runs_on_every_family" in results["saves_and_loads"].note


def test_a_method_whose_refusal_fails_has_one_failed_check() -> None:
    results = {f.check.name: f for f in check_method(under_test(broken.RefusesWithAnError()))}
    assert [name for name, f in results.items() if f.outcome is CheckOutcome.FAIL] == [RUNS]
    assert "see runs_on_every_family" in results["saves_and_loads"].note


def test_expected_failures_that_are_no_mapping_are_refused() -> None:
    class Listed(Sound):
        expected_failures: ClassVar = ["survives_a_restart"]

    with pytest.raises(UserError, match="is a list: make it a mapping"):
        next(check_method(under_test(Listed())))


def test_families_that_are_refused_are_listed_with_the_reason() -> None:
    class RefusesT5(Sound):
        def refuses(self, family: Family, form: Form) -> str | None:
            return "no biases" if family == Family.T5 else None

    tested = under_test(RefusesT5(), Family.T5, Family.BERT)
    result = check("runs_on_every_family").run(tested)
    assert result.outcome is CheckOutcome.PASS
    assert result.note == "refuses t5 (text-to-text): no biases"
    assert [each.family for each in tested.tested_families] == [Family.BERT]
    nothing_left = check("runs_on_every_family").run(under_test(RefusesT5(), Family.T5))
    assert nothing_left.outcome is CheckOutcome.NOT_APPLICABLE
    assert nothing_left.note == "refuses t5 (text-to-text): no biases"


def test_a_family_is_checked_in_a_form_that_is_not_refused() -> None:
    class SpansOnly(Sound):
        def refuses(self, family: Family, form: Form) -> str | None:
            return None if form is Form.SPAN else "spans only"

    tested = under_test(SpansOnly(), *BUILT_IN_FAMILIES)
    assert [(t.family, t.form) for t in tested.tested_families] == [
        (family, Form.SPAN) for family in (Family.BERT, Family.ROBERTA, Family.GPT2)
    ]
    assert check("saves_and_loads").run(tested).outcome is CheckOutcome.PASS


def test_the_kit_leaves_the_process_as_it_was() -> None:
    state = process_state.observe(), process_state.random_states()
    for method in (broken.TurnsGradientsOff, broken.MovesElsewhere, broken.SetsTheEnvironment):
        check("leaves_the_process_alone").run(under_test(method()))
    assert (process_state.observe(), process_state.random_states()) == state


def test_masks_of_a_map_that_forgets_them_are_seen_to_leak() -> None:
    class Forgetful(Masked):
        def forward(self, weight: torch.Tensor) -> torch.Tensor:
            return weight

    class Leaks(Sound):
        target_sparsity = None

        def prepare(self, backbone: Backbone) -> torch.nn.Module:
            backbone.freeze()
            matrices = backbone.anatomy.matrices()
            model = backbone.model
            attach(model, {matrix: Forgetful(matrix.weight(model)) for matrix in matrices})
            return model

        def deploy(self, model: torch.nn.Module) -> torch.nn.Module:
            fold(model)
            return model

    result = check("masked_weights_stay_zero").run(under_test(Leaks()))
    assert result.outcome is CheckOutcome.FAIL
    assert "are not zero under their mask after an optimizer step" in result.note


def test_an_error_says_where_the_method_has_raised_it() -> None:
    class Raises(Sound):
        def prepare(self, backbone: Any) -> Any:
            raise ValueError("boom")

    results = {f.check.name: f.note for f in check_method(under_test(Raises()))}

    assert (
        "prepare: ValueError: boom (conformance/test_checks.py:" in results["runs_on_every_family"]
    )
