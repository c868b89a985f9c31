"""Score the texts that people wrote for E2E, one of each meaning against the others.

    python scripts/e2e_people.py DATA [--split dev|test]

``DATA`` holds the official CSV files. Meanings with a single text are left out.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from sparsebench.tasks import DataSource
from sparsebench.tasks.e2e import E2E
from sparsebench.tasks.slots import slot_error_rates


def main() -> None:
    """Print the first text against the others, against itself, and slot errors of all texts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--split", choices=E2E.splits, default="test")
    arguments = parser.parse_args()
    (rows,) = E2E.load_split(DataSource(arguments.data), arguments.split).values()
    pairs = [(mr, texts) for mr, texts in zip(rows["mr"], rows["references"], strict=True)]
    several = [(mr, texts) for mr, texts in pairs if len(texts) > 1]
    firsts = [texts[0] for _, texts in several]
    for what, references in (
        ("the others", [{"mr": mr, "texts": texts[1:]} for mr, texts in several]),
        ("itself", [{"mr": mr, "texts": texts[:1]} for mr, texts in several]),
    ):
        print(f"\nthe first of {len(several)} meanings against {what}")
        for metric, value in E2E.score(firsts, references).items():
            print(f"  {metric:<16} {value:.4f}")
    mrs = [mr for mr, texts in pairs for _ in texts]
    rates = slot_error_rates(mrs, [text for _, texts in pairs for text in texts])
    print(f"\nslot errors of all {len(mrs)} texts: {rates['slot_error_rate']:.4f}")


if __name__ == "__main__":
    main()
