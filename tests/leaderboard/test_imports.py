"""A leaderboard is shown without waiting for the libraries that train models."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("torch", "transformers", "datasets", "evaluate", "sklearn", "pandas", "matplotlib")


def test_leaderboards_import_no_heavy_library() -> None:
    modules = ("formats", "comparison", "costs_table", "build")
    imports = "; ".join(f"import sparsebench.leaderboard.{module}" for module in modules)
    loaded = f"print([name for name in {HEAVY} if name in sys.modules])"
    code = f"import sys; import sparsebench.cli.leaderboard; {imports}; {loaded}"

    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert found.stdout.strip() == "[]"
