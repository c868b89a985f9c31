"""Each check catches the methods that are broken in its way, and a sound method passes all."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import broken_methods as broken
import pytest
import torch
from sound_method import Sound, SoundConfig

from sparsebench import Method
from sparsebench.conformance import CHECKS, Status, Subject, check_method
from sparsebench.errors import UnknownNameError
from sparsebench.models import Family

SLOW = "schedules_go_by_progress"

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
    (broken.FailsUnderAutocast, "trains_in_bf16", "dtype"),
    (broken.SetsTheEnvironment, "leaves_the_process_alone", "before_step changes the environment"),
]
"""A broken method, the one check that it fails, and a part of what is said."""

ALSO: list[tuple[type[Method], str, str]] = [
    (broken.TakesAnyValue, "bad_settings_are_refused", "mode"),
    (broken.SharesNotAll, "stages_share_the_budget", "0.4"),
    (broken.RefusesWithoutReason, "runs_on_every_family", "t5 (text-to-text) without a reason"),
    (broken.TrainsTheFrozen, "trains_what_it_claims", "without requires_grad"),
    (broken.NeverMoves, "trains_what_it_claims", "never moves"),
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
]
"""More of the like, which may fail other checks too, or of which only the one check is made."""


def subject(method: Method, *families: Family) -> Subject:
    return Subject(method, families=families or (Family.BERT,))


def check(name: str):  # noqa: ANN201
    return next(check for check in CHECKS if check.name == name)


def test_a_sound_method_passes_every_check_on_every_family() -> None:
    findings = list(check_method(subject(Sound(), *Family)))
    assert [finding for finding in findings if finding.status is not Status.PASS] == []


@pytest.mark.parametrize(("method", "name", "said"), CAUGHT, ids=lambda case: str(case))
def test_a_broken_method_fails_its_check_and_no_other(
    method: type[Method], name: str, said: str
) -> None:
    under_check = subject(method())
    findings = [check.find(under_check) for check in CHECKS if check.name != SLOW]
    failed = {finding.check.name: finding.note for finding in findings if finding.status == "fail"}
    assert failed.keys() == {name}, failed
    assert said in failed[name]


@pytest.mark.parametrize(("method", "name", "said"), ALSO, ids=lambda case: str(case))
def test_a_broken_method_fails_its_check(method: type[Method], name: str, said: str) -> None:
    families = (Family.T5, Family.BERT) if name == "runs_on_every_family" else (Family.BERT,)
    finding = check(name).find(subject(method(), *families))
    assert finding.status is Status.FAIL
    assert said in finding.note
