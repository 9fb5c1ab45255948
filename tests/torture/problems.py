"""What is not as it should be."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

SHOWN = 2
LONGEST = 1500


@dataclass(frozen=True)
class Problem:
    """A broken promise. kind: which one, in a few words."""

    kind: str
    detail: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.detail[:LONGEST]}"


def lines(problems: Sequence[Problem]) -> list[str]:
    """Return a line for each of the first problems of a kind, and how many more there are."""
    counts: Counter[str] = Counter()
    told = []
    for problem in problems:
        counts[problem.kind] += 1
        if counts[problem.kind] <= SHOWN:
            told.append(f"PROBLEM {problem}")
    more = [(kind, n - SHOWN) for kind, n in counts.items() if n > SHOWN]
    return [*told, *(f"PROBLEM {kind}: {n} more of them" for kind, n in more)]
