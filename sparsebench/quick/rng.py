"""Random draws that are the same on every machine and every version of Python.

Python promises that ``random.Random(seed).random()`` gives the same numbers in all versions. It
promises nothing for ``choice`` or ``shuffle``, so the few draws that are needed are made here.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

Item = TypeVar("Item")


class Random:
    """A source of reproducible draws.

    Args:
        seed: What decides all draws. Two words or numbers that differ give unrelated draws.
    """

    def __init__(self, seed: str | int) -> None:
        self._random = random.Random(f"sparsebench.quick {seed}").random  # noqa: S311 - not secret

    def fraction(self) -> float:
        """Draws a number in [0, 1)."""
        return self._random()

    def chance(self, probability: float) -> bool:
        """Draws true with the given probability."""
        return self._random() < probability

    def below(self, bound: int) -> int:
        """Draws a whole number in [0, bound)."""
        return int(self._random() * bound)

    def pick(self, items: Sequence[Item]) -> Item:
        """Draws one item, each as likely as the others."""
        return items[self.below(len(items))]

    def weighted(self, weights: Mapping[Item, float]) -> Item:
        """Draws one key of a mapping, with a probability in proportion to its value."""
        rest = self._random() * sum(weights.values())
        for item, weight in weights.items():
            rest -= weight
            if rest < 0:
                return item
        return item

    def sample(self, items: Sequence[Item], *, count: int) -> list[Item]:
        """Draws ``count`` different items, or all of them in a random order if there are fewer."""
        pool = list(items)
        return [pool.pop(self.below(len(pool))) for _ in range(min(count, len(pool)))]

    def shuffled(self, items: Sequence[Item]) -> list[Item]:
        """Returns the items in a random order."""
        return self.sample(items, count=len(items))
