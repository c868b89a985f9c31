"""Training steps on ``random:bert-base``, 8 sequences of 128 tokens, and the peaks they reach."""

from __future__ import annotations

import multiprocessing
from dataclasses import dataclass, field

import torch

from sparsebench.method_registry import configure
from sparsebench.models import Form, load_backbone, model_source
from sparsebench.profiling.memory import MemoryTracker

MODEL = "random:bert-base"
BATCH_SIZE, LENGTH = 8, 128
PROGRESS = 0.95
"""The progress of the run at the step: masks have their final sparsity."""


@dataclass(frozen=True)
class Case:
    """A method in one of its stages, and the limits of the cost of a step.

    Attributes:
        method: The name of the method.
        settings: The settings of the method.
        stage: The number of the stage, from 0.
        time: Another case -> the most that a step may take, in steps of that case.
        memory: Another case -> the most that the peak may be, in peaks of that case.
    """

    method: str
    settings: dict[str, object] = field(default_factory=dict)
    stage: int = 0
    time: dict[str, float] = field(default_factory=dict)
    memory: dict[str, float] = field(default_factory=dict)


STRUCTURED = {"prune": "structured", "support": "random"}
CASES = {
    "full": Case("full"),
    "lora": Case("lora"),
    "head": Case("head"),
    "bitfit": Case("bitfit"),
    "adapter": Case("adapter"),
    "lora_magnitude": Case("lora_magnitude"),
    "magnitude": Case("magnitude"),
    "movement": Case("movement", time={"full": 1.6}),
    "movement, global": Case("movement", {"scope": "global"}, time={"full": 1.6}),
    "soft_movement": Case("soft_movement", time={"full": 1.6}),
    "pst": Case("pst", time={"full": 1.6}),
    "dsee, stage 1": Case("dsee", {"support": "random"}, time={"lora": 1.15}),
    "dsee, stage 2": Case("dsee", {"support": "random"}, stage=1),
    "dsee structured, stage 1": Case("dsee", STRUCTURED, time={"lora": 1.15}),
    "dsee structured, stage 2": Case("dsee", STRUCTURED, stage=1),
    "deft on lora": Case("deft", time={"lora": 1.15}, memory={"lora": 1.25}),
    "deft on adapter": Case(
        "deft", {"wraps": "adapter"}, time={"adapter": 1.15}, memory={"adapter": 1.25}
    ),
    "ada_deft": Case("ada_deft"),
}
"""Every method; the positions of DSEE's sparse update are random, on which no step depends."""

REFERENCES = ("full", "lora")
"""The references of every case, besides those that its limits name."""


class TrainingStep:
    """A method's own work, forward, backward and AdamW, whenever it is called.

    Args:
        case: The method and its stage.
        device: Where to train.
    """

    def __init__(self, case: Case, *, device: torch.device) -> None:
        backbone = load_backbone(
            model_source(MODEL), form=Form.CLASSIFICATION, labels=("no", "yes")
        )
        self.method = configure(case.method, case.settings)
        self.model = self.method.prepare(backbone).to(device).train()
        for stage in self.method.stages()[: case.stage + 1]:
            self.method.begin_stage(self.model, stage)
        self._disturb()
        self.optimizer = torch.optim.AdamW(
            self.method.parameter_groups(self.model),
            lr=self.method.config.learning_rate,
            weight_decay=self.method.config.weight_decay,
        )
        self.ids = torch.randint(1000, 30000, (BATCH_SIZE, LENGTH), device=device)
        self.labels = torch.arange(BATCH_SIZE, device=device) % 2

    @torch.no_grad()
    def _disturb(self) -> None:
        """Move the trainable parameters, so that no two scores are equal, as after training."""
        for parameter in filter(lambda p: p.requires_grad, self.model.parameters()):
            parameter.add_(torch.randn_like(parameter), alpha=1e-3)

    def __call__(self) -> None:
        """Do one step; on a GPU, wait for its end."""
        self.method.before_step(self.model, PROGRESS)
        loss = self.model(input_ids=self.ids, labels=self.labels).loss
        penalty = self.method.penalty(self.model)
        (loss if penalty is None else loss + penalty).backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        if self.ids.is_cuda:
            torch.cuda.synchronize()


def peak_memory(label: str, *, device: torch.device) -> int:
    """Return the bytes at the peak of three training steps, model included, in a new process."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_peak, (label, str(device)))


def _peak(label: str, device: str) -> int:
    torch.set_num_threads(1)
    tracker = MemoryTracker(device)
    with tracker.track():
        step = TrainingStep(CASES[label], device=torch.device(device))
        for _ in range(3):
            step()
    return tracker.peak.bytes
