"""Report how often repeated profiles agree within their confidence intervals.

Each repeat is a process of its own: another placement in memory, another moment. A repeat agrees if
its interval contains the geometric mean of the ratios of all other repeats. Run it beside other
work to test the intervals on a busy machine:

    python scripts/repeat_profile.py 20 -- --models random:bert-base --methods magnitude
"""

from __future__ import annotations

import csv
import io
import math
import statistics
import subprocess
import sys


def repeat(arguments: list[str]) -> dict[tuple[str, str], tuple[float, float, float]]:
    """Run one profile; return ratio and interval by method with batch, and runtime."""
    command = [sys.executable, "-m", "sparsebench", "profile", *arguments, "--format", "csv"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    rows = csv.DictReader(io.StringIO(done.stdout))
    return {
        (f"{row['method']} at {row['batch_size']}", row["runtime"]): (
            float(row["latency_ratio"]),
            float(row["latency_ratio_low"]),
            float(row["latency_ratio_high"]),
        )
        for row in rows
        if row["latency_ratio"]
    }


def main() -> None:
    """Repeat a profile; print every ratio, and how many intervals contain the others' mean."""
    count, mark, *arguments = sys.argv[1:]
    if mark != "--":
        raise SystemExit(__doc__)
    repeats = []
    for number in range(1, int(count) + 1):
        repeats.append(repeat(arguments))
        for key, (ratio, low, high) in repeats[-1].items():
            line = f"{number:3} {' under '.join(key)}: {ratio:.3f} [{low:.3f}, {high:.3f}]"
            print(line, flush=True)
    for key in repeats[0]:
        found = [one[key] for one in repeats if key in one]
        held = sum(
            low <= _mean([other[0] for other in found[:n] + found[n + 1 :]]) <= high
            for n, (_, low, high) in enumerate(found)
        )
        overlaps = [a[1] <= b[2] and b[1] <= a[2] for n, a in enumerate(found) for b in found[:n]]
        print(
            f"{' under '.join(key)}: mean {_mean([one[0] for one in found]):.3f}; the interval "
            f"holds the mean of the others in {held} of {len(found)} repeats; "
            f"{sum(overlaps)} of {len(overlaps)} pairs of intervals overlap; median width "
            f"{statistics.median(high - low for _, low, high in found):.3f}"
        )


def _mean(ratios: list[float]) -> float:
    return math.exp(statistics.fmean(map(math.log, ratios)))


if __name__ == "__main__":
    main()
