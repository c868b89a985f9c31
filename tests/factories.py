"""Makes specs and results for tests: valid ones, of which a test names only what matters to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sparsebench.results.costs import (
    THRESHOLD,
    Activations,
    Costs,
    Device,
    Flops,
    Latency,
    LayerDensity,
    Memory,
    MemoryKind,
    MemoryPeak,
    Parameters,
)
from sparsebench.results.records import Provenance, RunResult, Status
from sparsebench.results.store import run_key
from sparsebench.schema.spec import MethodChoice, RunSpec
from sparsebench.schema.training import HeldOut, Protocol, Training
from sparsebench.tasks import TASKS

if TYPE_CHECKING:
    from collections.abc import Sequence

SHAPES = {"input_ids": (8, 128)}


def make_spec(
    *,
    task: str = "mrpc",
    model: str = "minilm",
    method: str = "lora",
    seed: int = 1,
    settings: dict[str, Any] | None = None,
    budget: str = "3 epochs",
    protocol: Protocol = Protocol.LAST,
    held_out: HeldOut | None = None,
    data: str = "d0",
    model_fingerprint: str = "f0",
    method_version: str = "1",
    task_version: str = "1",
) -> RunSpec:
    """Returns the spec of one run."""
    return RunSpec(
        task=task,
        task_version=task_version,
        model=model,
        model_fingerprint=model_fingerprint,
        method=MethodChoice(
            label=method, name=method, version=method_version, settings=settings or {}
        ),
        seed=seed,
        protocol=protocol,
        training=Training.model_validate({"budget": budget}),
        held_out=held_out,
        data_fingerprint=data,
    )


def make_densities(*shares: float) -> Activations:
    """Returns activations of which so many are not small, layer by layer."""
    layers = {
        f"transformer.h.{number}": LayerDensity(
            stack="encoder", above={0.0: 1.0, THRESHOLD: share}, exact_padded=1.0, union={}
        )
        for number, share in enumerate(shares)
    }
    return Activations(data="examples", tokens=7, layers=layers)


def make_costs(
    *,
    trainable: int | None = 5_000,
    total: int = 1_000_100,
    gmacs: float = 2.0,
    uncounted: tuple[str, ...] = (),
    closed_form: float | None = None,
    ratio: float = 1.0,
    noisy: bool = False,
    training_bytes: int = 300 * 2**20,
    **changed: Any,
) -> Costs:
    """Returns the costs of a backbone of 1,000,000 parameters with a head of 100."""
    matrix = round(gmacs * 1e9)
    expected = matrix if closed_form is None else round(closed_form * 1e9)
    samples = (1.0, 1.0, 2.0, 2.0) if noisy else (1.0, 1.0, 1.0, 1.0)
    parts: dict[str, Any] = {
        "parameters": Parameters(
            trainable=trainable, head=100, total=total, nonzero=total, reference_total=1_000_100
        ),
        "flops": Flops(
            matrix=matrix,
            elementwise=0,
            closed_form=expected,
            uncounted=uncounted,
            shapes={"input_ids": (1, 128)},
        ),
        "latency": Latency(
            samples=samples,
            reference_samples=tuple(sample / ratio for sample in samples),
            clock="monotonic",
            threads=1,
            shapes=SHAPES,
        ),
        "memory": Memory(
            weights=90 * 2**20,
            activations=MemoryPeak(kind=MemoryKind.RESIDENT, bytes=10 * 2**20),
            training=MemoryPeak(kind=MemoryKind.RESIDENT, bytes=training_bytes),
            shapes=SHAPES,
        ),
    }
    device = Device(type="cpu", name="A processor", threads=1, torch="2.13.0")
    return Costs(**{"device": device, "dtype": "float32", **parts, **changed})


def make_provenance(*, created: str = "2026-01-01T00:00:00+00:00") -> Provenance:
    """Returns where a run was made."""
    return Provenance(
        created=created,
        command="sparsebench run quick",
        versions={"torch": "2.13.0"},
        git=None,
        device="A processor",
        platform="Linux",
        threads=1,
        precision="fp32",
        data_origin="a folder",
        model_origin="a folder",
    )


def make_result(
    score: float | None = 0.8,
    *,
    status: Status = Status.OK,
    reason: str | None = None,
    costs: Costs | None = None,
    created: str = "2026-01-01T00:00:00+00:00",
    **spec: Any,
) -> RunResult:
    """Returns a result: a score where the status is ok, else a reason."""
    if status is not Status.OK:
        score, reason = None, reason or "it failed"
    made = make_spec(**spec)
    return RunResult(
        key=run_key(made),
        suite="a-suite",
        spec=made,
        status=status,
        reason=reason,
        score=score,
        headline_metric="accuracy",
        scores={} if score is None else {"validation": {"accuracy": score}},
        costs=costs,
        provenance=make_provenance(created=created),
    )


def make_answered(
    predictions: Sequence[Any], references: Sequence[Any], **spec: Any
) -> tuple[RunResult, list[dict[str, Any]]]:
    """Returns a result whose scores are those of its predictions, and the rows to store with it."""
    task = TASKS.get(spec.get("task", "mrpc"))
    scores = {"validation": task.score(predictions, references)}
    result = make_result(task.headline(scores), **spec).model_copy(
        update={"scores": scores, "headline_metric": task.headline_metric}
    )
    pairs = zip(predictions, references, strict=True)
    rows = [
        {"split": "validation", "id": f"dev-{at}", "prediction": answer, "reference": reference}
        for at, (answer, reference) in enumerate(pairs)
    ]
    return result, rows
