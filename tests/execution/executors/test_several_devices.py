"""Runs that several processes train: the same results, and one row each whatever goes wrong."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest
import torch
from executor_jobs import limited, make, make_jobs, results, use_culprits
from plugins import install

from sparsebench.errors import UserError
from sparsebench.execution.events import Progressed
from sparsebench.execution.executors import resources
from sparsebench.execution.executors.local import LocalExecutor
from sparsebench.execution.executors.slurm import SlurmExecutor
from sparsebench.results import Status, Store
from sparsebench.training.checkpoints import last_checkpoint

if TYPE_CHECKING:
    from sparsebench.execution.events import Event
    from sparsebench.results import RunResult

CULPRITS = """
import os, signal, sys, time
from datetime import timedelta
import torch
from sparsebench import Method
from sparsebench.training import distributed

class InSecond(Method):
    def prepare(self, backbone):
        return backbone.model

    def before_step(self, model, progress):
        if os.environ.get("RANK") == "1" and progress > 0:
            self.go_wrong(model)

    def go_wrong(self, model):
        pass

class Dies(InSecond):
    def go_wrong(self, model):
        os.kill(os.getpid(), signal.SIGKILL)

class Exits(InSecond):
    def go_wrong(self, model):
        os._exit(7)

class Leaves(InSecond):
    def go_wrong(self, model):
        os._exit(0)

class Raises(InSecond):
    def go_wrong(self, model):
        raise RuntimeError("not in the mood")

class Sleeps(InSecond):
    def go_wrong(self, model):
        time.sleep(3600)

class Hangs(Sleeps):
    def prepare(self, backbone):
        distributed.STEP_TIMEOUT = timedelta(seconds=3)
        return backbone.model

class Wanders(InSecond):
    def go_wrong(self, model):
        next(model.parameters()).data += 0.1

class Draws(InSecond):
    def before_step(self, model, progress):
        parameter = next(model.parameters())
        parameter.data += 0.1 * torch.rand_like(parameter)

class NeedsRoom(InSecond):
    def penalty(self, model):
        if os.environ.get("RANK") == "1" and not hasattr(self, "hooked"):
            self.hooked = model.register_forward_pre_hook(check, with_kwargs=True)

def check(model, args, kwargs):
    if model.training and len(kwargs["input_ids"]) > 8:
        raise torch.OutOfMemoryError("tried to allocate 2 GiB")

class Diverges(InSecond):
    def penalty(self, model):
        return torch.tensor(float("nan") if os.environ.get("RANK") == "1" else 0.0)

class FailsAlone(InSecond):
    def deploy(self, model):
        raise RuntimeError("nothing to ship")
"""
"""Methods that go wrong in the second process alone, or in the first once the second has left."""

NAMES = (
    *("Dies", "Exits", "Leaves", "Raises", "Sleeps", "Hangs", "Wanders", "Draws"),
    *("NeedsRoom", "Diverges", "FailsAlone"),
)
STEPS = 40


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    site = tmp_path / "site"
    points = {f"second_{name.lower()}": f"seconds:{name}" for name in NAMES}
    install(site, "seconds", group="sparsebench.methods", points=points, seconds=CULPRITS)
    use_culprits(site, monkeypatch)
    return tmp_path / "runs"


def on_two(workers: int = 1) -> LocalExecutor:
    return LocalExecutor(workers=workers, device="cpu", options={"processes": 2})


def losses(result: RunResult) -> list[float]:
    assert result.training is not None
    return [point.loss for point in result.training.loss]


def test_two_processes_train_as_one_does_and_say_so(root: Path) -> None:
    alone = root.with_name("alone")
    for executor, folder in ((LocalExecutor(device="cpu"), alone), (on_two(), root)):
        make(executor, make_jobs(folder, "full"))
    for one, two in zip(Store(alone), Store(root), strict=True):
        assert (two.key, two.status) == (one.key, Status.OK)
        assert losses(two) == pytest.approx(losses(one), rel=1e-5)
        assert (one.training and one.training.devices) == 1
        assert (two.training and two.training.devices) == 2
    assert not list((root / ".work").iterdir())


def test_what_goes_wrong_in_one_process_is_a_row_with_its_reason(root: Path) -> None:
    names = [f"second_{name.lower()}" for name in NAMES if name != "Sleeps"]
    jobs = [*make_jobs(root, *names), *limited(make_jobs(root, "second_sleeps"), time="4 s")]
    make(on_two(workers=2), jobs)
    found = {label.removeprefix("second_"): r for label, r in results(root).items()}
    rows = {label: (r.status, r.reason) for label, r in found.items()}
    assert rows.pop("leaves")[0] is Status.ERROR
    hung = rows.pop("hangs")
    assert hung[0] is Status.ERROR
    assert re.search("timed out|timeout", hung[1] or "", re.IGNORECASE)
    apart = rows.pop("wanders")
    assert apart[0] is Status.ERROR
    assert "2 processes have trained different weights" in (apart[1] or "")
    assert rows == {
        "dies": (Status.ERROR, "process 2 of 2 was killed by SIGKILL"),
        "exits": (Status.ERROR, "process 2 of 2 ended with exit code 7"),
        "raises": (Status.ERROR, "RuntimeError: not in the mood"),
        "sleeps": (Status.TIMEOUT, "stopped at its time limit of 4 s"),
        "draws": (Status.OK, None),
        "needsroom": (Status.OK, None),
        "diverges": (Status.DIVERGED, "the loss is nan at step 1 of 2"),
        "failsalone": (Status.ERROR, "RuntimeError: nothing to ship"),
    }
    again = found["needsroom"].retried
    assert again is not None
    assert (again.micro_batch_size, again.reason) == (8, "tried to allocate 2 GiB")


def test_an_interrupted_run_leaves_one_checkpoint_and_goes_on_to_the_same_end(root: Path) -> None:
    (job,) = make_jobs(root, "lora", steps=STEPS)  # it drops out: each process has random numbers

    def interrupt(event: Event) -> None:
        if isinstance(event, Progressed) and event.phase == "train":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        on_two().run([job], interrupt)
    assert results(root) == {}
    work = Store(root).work_folder(job.spec)
    checkpoint = last_checkpoint(work / "stage-0")
    assert checkpoint is not None
    assert list((work / "stage-0").glob("checkpoint-*")) == [checkpoint]
    assert len(list(checkpoint.glob("rng_state_*.pth"))) == 2

    events = make(on_two(), [job])
    steps = [e.done for e in events if isinstance(e, Progressed) and e.phase == "train"]
    assert steps[0] > 1
    untouched = root.with_name("untouched")
    make(on_two(), make_jobs(untouched, "lora", steps=STEPS))
    one, other = results(root)["lora"], results(untouched)["lora"]
    assert (one.status, one.scores) == (Status.OK, other.scores)
    assert losses(one) == losses(other)


DRIVER = """
import sys
from pathlib import Path
from executor_jobs import make_jobs
from sparsebench.execution.executors.local import LocalExecutor
if __name__ == "__main__":
    jobs = make_jobs(Path(sys.argv[1]), "full", steps=100000)
    tell = lambda event: print(getattr(event, "phase", ""), flush=True)
    LocalExecutor(device="cpu", options={"processes": 2}).run(jobs, tell)
"""


def test_no_process_outlives_the_one_that_started_it(root: Path) -> None:
    driver = subprocess.Popen(
        [sys.executable, "-c", DRIVER, str(root)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert driver.stdout is not None
    while driver.stdout.readline().strip() != "train":
        assert driver.poll() is None
    below = psutil.Process(driver.pid).children(recursive=True)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    gone, alive = psutil.wait_procs(below, timeout=60)
    assert not alive
    assert len(gone) > 2


def test_batches_that_cannot_be_shared_out_are_refused_at_once(root: Path) -> None:
    executor = LocalExecutor(device="cpu", options={"processes": 3})
    with pytest.raises(UserError, match="batch_size 32 is not a multiple of 3 devices"):
        make(executor, make_jobs(root, "full"))
    assert not (root / ".work").exists()


@pytest.mark.parametrize(
    ("device", "options", "there", "message"),
    [
        ("auto", {"gpus": 2}, "0", "-x gpus=2: this machine has 1 GPU;"),
        ("auto", {"gpus": 1}, "", "-x gpus=1: this machine has 0 GPUs;"),
        ("cpu", {"gpus": 2}, "0,1", "--device cpu leaves no choice of GPUs"),
        ("cuda:1", {"gpus": 2}, "0,1", "--device cuda:1 leaves no choice of GPUs"),
        ("auto", {"processes": 2}, "0", "-x processes= is for a CPU"),
        ("cuda", {"processes": 2}, "0", "-x processes= is for a CPU"),
        ("auto", {"gpus": 2, "processes": 2}, "0,1", "exclude each other"),
    ],
)
def test_devices_that_are_not_there_are_one_message(
    device: str, options: dict[str, int], there: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", there)
    with pytest.raises(UserError, match=message):
        make(LocalExecutor(device=device, options=options), [])


@pytest.mark.parametrize("options", [{"gpus": 0}, {"processes": 0}, {"gpu": 2}])
def test_a_bad_option_is_one_message(options: dict[str, object]) -> None:
    with pytest.raises(UserError, match=r"--executor-option .*gpu|processes"):
        LocalExecutor(options=options)


def test_slurm_refuses_what_its_jobs_would(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("submitit")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0")
    executor = SlurmExecutor(options={"cluster": "local", "gpus": 2})
    with pytest.raises(UserError, match="-x gpus=2: this machine has 1 GPU;"):
        make(executor, make_jobs(root, "full"))


@pytest.mark.skipif(torch.cuda.is_available(), reason="names GPUs that are not there")
def test_a_slurm_job_trains_on_all_its_gpus(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("submitit")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1")
    make(SlurmExecutor(options={"cluster": "local", "gpus": 2}), make_jobs(root, "full"))
    result = results(root)["full"]
    assert (result.status, result.reason) == (Status.OK, None)
    assert (result.training and result.training.devices) == 2


def test_each_run_gets_gpus_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,5,6,7")
    given = resources.divide_machine(2, "auto", processes=2)
    assert [[share.device for share in run] for run in given] == [
        ["cuda:4", "cuda:5"],
        ["cuda:6", "cuda:7"],
    ]
    (alone,) = resources.divide_machine(1, "cuda", processes=3)
    assert [share.device for share in alone] == ["cuda:4", "cuda:5", "cuda:6"]
    assert [run[0].device for run in resources.divide_machine(2, "cpu")] == ["cpu", "cpu"]
