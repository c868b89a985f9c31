"""Fifty kills at random moments: nothing is torn, lost or double, and every score is as without."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import psutil
from executor_jobs import make, make_jobs, results

from sparsebench.execution.executors.local import LocalExecutor
from sparsebench.execution.verification import verify
from sparsebench.results import Status, Store

KILLS = 50
PARENTS = 4
"""How many of the kills go to the process that drives the runs; it is slow to start again."""

LONGEST_PAUSE = 0.8
SEEDS = (1, 2, 3)
METHODS = ("full", "lora")
TERMS = {"seeds": SEEDS, "steps": 24, "checkpoint_every": 6}

DRIVER = """
import json, sys
from pathlib import Path
from executor_jobs import make_jobs
from sparsebench.execution.executors.local import LocalExecutor
from sparsebench.results import Status, Store
if __name__ == "__main__":
    root, methods, terms = Path(sys.argv[1]), *map(json.loads, sys.argv[2:])
    while True:
        done = {r.key for r in Store(root) if r.status is Status.OK}
        jobs = [job for job in make_jobs(root, *methods, **terms) if job.key not in done]
        if not jobs:
            break
        LocalExecutor(workers=2).run(jobs, lambda event: None)
"""


def start(root: Path) -> subprocess.Popen[bytes]:
    script = root.with_name("driver.py")
    script.write_text(DRIVER)
    return subprocess.Popen(
        [sys.executable, str(script), str(root), json.dumps(METHODS), json.dumps(TERMS)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )


def runs_of(driver: subprocess.Popen[bytes]) -> list[psutil.Process]:
    """Returns the processes of runs: what the server of forks has forked."""
    try:
        below = psutil.Process(driver.pid).children(recursive=True)
        return [process for process in below if process.ppid() != driver.pid]
    except psutil.Error:
        return []


def test_fifty_kills_tear_lose_and_change_nothing(tmp_path: Path) -> None:
    generator = random.Random(20)
    root, killed = tmp_path / "runs", Counter[str]()
    victims = ["run"] * (KILLS - PARENTS) + ["parent"] * PARENTS
    generator.shuffle(victims)
    deadline = time.monotonic() + 1500
    driver = start(root)
    try:
        while victims:
            assert time.monotonic() < deadline
            if driver.poll() is not None:
                assert driver.returncode == 0  # it is done before all kills were: once more
                for run in Store(root).runs()[:3]:
                    (run.folder / "result.json").unlink()
                driver = start(root)
            time.sleep(generator.uniform(0, LONGEST_PAUSE))
            runs = runs_of(driver)
            if not runs:
                continue
            victim = victims.pop()
            try:
                (driver if victim == "parent" else generator.choice(runs)).kill()
            except psutil.NoSuchProcess:
                victims.append(victim)
                continue
            killed[victim] += 1
            if victim == "parent":
                driver.wait()
                driver = start(root)
        assert driver.wait(timeout=900) == 0
    finally:
        driver.kill()
        driver.wait()
    assert killed == {"run": KILLS - PARENTS, "parent": PARENTS}

    calm = tmp_path / "calm"
    jobs = make_jobs(calm, *METHODS, **TERMS)  # type: ignore[arg-type]
    make(LocalExecutor(), jobs)
    found, expected = results(root), results(calm)
    assert {label: (r.key, r.status, r.scores) for label, r in found.items()} == {
        label: (r.key, Status.OK, r.scores) for label, r in expected.items()
    }
    report = verify(Store(root).runs())
    assert not report.faults
    assert len(report.results) == len(jobs) == len(SEEDS) * len(METHODS)
    assert not [work for work in (root / ".work").iterdir() if (work / "stage-0").exists()]
