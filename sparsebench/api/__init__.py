"""The Python API: run a suite, load results, measure costs.

    import sparsebench

    results = sparsebench.run("quick", methods=["full", "lora"], models=["quick/bert"])
    results.to_pandas()
    print(results.leaderboard())

The command line calls the same functions.
"""

from __future__ import annotations

from sparsebench.api.experiment import Experiment, run
from sparsebench.api.overrides import overrides
from sparsebench.api.profiles import Profiles, profile
from sparsebench.api.results import LeaderboardView, Results, load_results

__all__ = [
    "Experiment",
    "LeaderboardView",
    "Profiles",
    "Results",
    "load_results",
    "overrides",
    "profile",
    "run",
]
