"""Figures of several ways to do the same, measured in turn: their table, and what they decide.

What is measured in turn makes pairs, which noise on the machine hits alike: so the ratio of two
ways is the median of their turns' ratios, not the ratio of their medians.
"""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass


class Figures:
    """Measured numbers by figure and way, in the order of their turns.

    ways: the columns of the table; ratios are to the first of them. figures: its rows; others
    follow.
    """

    def __init__(self, ways: Sequence[str], figures: Sequence[str] = ()) -> None:
        self.ways = tuple(ways)
        self._turns: dict[str, dict[str, list[float]]] = {figure: {} for figure in figures}

    def add(self, figure: str, way: str, value: float) -> None:
        """Add what one turn has measured."""
        self._turns.setdefault(figure, {}).setdefault(way, []).append(value)

    def value(self, figure: str, way: str) -> float | None:
        """Return the median of all turns; None if it was not measured."""
        turns = self._turns.get(figure, {}).get(way)
        return statistics.median(turns) if turns else None

    def ratio(self, figure: str, way: str, to: str | None = None) -> float | None:
        """Return the median of the turns' ratios to another way; None if one was not measured."""
        ways = self._turns.get(figure, {})
        ours, others = ways.get(way), ways.get(to or self.ways[0])
        if not ours or not others:
            return None
        return statistics.median(a / b for a, b in zip(ours, others, strict=False))

    def table(self) -> str:
        """Return the Markdown table, a figure a row; in brackets the ratios to the first way."""
        lines = ["| | " + " | ".join(self.ways) + " |", "|---|" + "---:|" * len(self.ways)]
        for figure in filter(self._turns.get, self._turns):
            cells = [self._cell(figure, way) for way in self.ways]
            lines.append(f"| {figure} | " + " | ".join(cells) + " |")
        return "\n".join(lines)

    def _cell(self, figure: str, way: str) -> str:
        value, ratio = self.value(figure, way), self.ratio(figure, way)
        if value is None:
            return ""
        shown = f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"
        return shown if ratio is None or way == self.ways[0] else f"{shown} ({ratio:.3g})"

    def values(self) -> dict[str, dict[str, float]]:
        """Return all medians by figure and way."""
        return {
            figure: {way: statistics.median(turns) for way, turns in ways.items()}
            for figure, ways in self._turns.items()
            if ways
        }


@dataclass(frozen=True)
class Target:
    """What one way's figure has to be: at most or at least a limit.

    to: the way that the limit is a multiple of; None for a limit in the figure's own unit.
    """

    way: str
    figure: str
    limit: float
    to: str | None = None
    at_least: bool = False

    def verdict(self, figures: Figures) -> str:
        """Return a line that says whether it is reached."""
        measured: Callable[..., float | None] = figures.ratio if self.to else figures.value
        value = measured(self.figure, self.way, *([self.to] if self.to else []))
        unit = f" times {self.to}" if self.to else ""
        least = "at least" if self.at_least else "at most"
        what = f"{self.figure}, {self.way}: {least} {self.limit:.4g}{unit}"
        if value is None:
            return f"NOT MEASURED: {what}"
        is_reached = value >= self.limit if self.at_least else value <= self.limit
        return f"{'reached' if is_reached else 'MISSED'}: {what}; it is {value:.4g}"
