"""Fifty kills at random moments: nothing is torn, lost or double, and every score is as without.

A stop (SIGTERM) of a run or of the command, and the death of the fork server, leave no row.
"""

from __future__ import annotations

import json
import os
import random
import signal
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

KILLS = {
    "run SIGTERM": 15,
    "run SIGKILL": 15,
    "server SIGTERM": 4,
    "server SIGKILL": 8,
    "command SIGTERM": 4,
    "command SIGKILL": 4,
}
"""Target and signal -> how often; the command is slow to start again."""

LONGEST_PAUSE = 0.8
SEEDS = (1, 2, 3)
METHODS = ("full", "lora")
TERMS = {"seeds": SEEDS, "steps": 24, "checkpoint_every": 6}

DRIVER = """
import json, sys
from pathlib import Path
from executor_jobs import make_jobs
from sparsebench.execution.events import Finished
from sparsebench.execution.executors.local import LocalExecutor
from sparsebench.results import Status, Store
if __name__ == "__main__":
    root, rows, methods, terms = *map(Path, sys.argv[1:3]), *map(json.loads, sys.argv[3:])
    def report(event):
        if isinstance(event, Finished):
            with rows.open("a") as stream:
                stream.write(f"{event.status}: {event.reason}\\n")
    while True:
        done = {r.key for r in Store(root) if r.status is Status.OK}
        jobs = [job for job in make_jobs(root, *methods, **terms) if job.key not in done]
        if not jobs:
            break
        LocalExecutor(workers=2).run(jobs, report)
"""


def start(root: Path) -> subprocess.Popen[bytes]:
    script = root.with_name("driver.py")
    script.write_text(DRIVER)
    arguments = [str(root), str(root.with_name("rows")), json.dumps(METHODS), json.dumps(TERMS)]
    return subprocess.Popen(
        [sys.executable, str(script), *arguments],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )


def processes_of(command: psutil.Process) -> dict[str, list[psutil.Process]]:
    """The processes of a command, by what they are; runs are forked by the server."""
    try:
        children = command.children()
        servers = [child for child in children if "forkserver" in " ".join(child.cmdline())]
        runs = [run for server in servers for run in server.children()]
    except psutil.Error:
        return {}
    return {"command": [command], "server": servers, "run": runs}


def strike(command: psutil.Process, victim: str, generator: random.Random) -> bool:
    """Send a signal to one of the processes; return whether there was one."""
    target, name = victim.split()
    found = processes_of(command)
    if not found.get("run") or not found.get(target):
        return False  # nothing is in progress
    try:
        generator.choice(found[target]).send_signal(signal.Signals[name])
    except psutil.Error:
        return False
    return True


def test_fifty_kills_tear_lose_and_change_nothing(tmp_path: Path) -> None:
    generator = random.Random(20)
    root = tmp_path / "runs"
    victims = [victim for victim, count in KILLS.items() for _ in range(count)]
    assert len(victims) == 50
    generator.shuffle(victims)
    deadline = time.monotonic() + 1500
    driver = start(root)
    try:
        while victims:
            assert time.monotonic() < deadline
            if driver.poll() is not None:
                for run in Store(root).runs()[:3]:  # it may have finished before all kills
                    (run.folder / "result.json").unlink()
                driver = start(root)
            time.sleep(generator.uniform(0, LONGEST_PAUSE))
            if strike(psutil.Process(driver.pid), victims[-1], generator) and "command" in (
                victims.pop()
            ):
                driver.wait(timeout=60)
        if driver.poll() is not None:
            driver = start(root)
        assert driver.wait(timeout=900) == 0
    finally:
        driver.kill()
        driver.wait()

    rows = Counter((tmp_path / "rows").read_text().splitlines())
    sys.stdout.write(f"{dict(rows)}\n")
    assert set(rows) <= {"ok: None", "error: the process was killed by SIGKILL"}
    assert rows["error: the process was killed by SIGKILL"] <= KILLS["run SIGKILL"]

    calm = tmp_path / "calm"
    jobs = make_jobs(calm, *METHODS, **TERMS)  # type: ignore[arg-type]
    make(LocalExecutor(workers=1), jobs)
    found, expected = results(root), results(calm)
    assert {label: (r.key, r.status, r.scores) for label, r in found.items()} == {
        label: (r.key, Status.OK, r.scores) for label, r in expected.items()
    }
    report = verify(Store(root).runs())
    assert not report.faults
    assert len(report.results) == len(jobs) == len(SEEDS) * len(METHODS)
    assert not [work for work in (root / ".work").iterdir() if (work / "stage-0").exists()]
