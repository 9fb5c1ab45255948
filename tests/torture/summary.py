"""What a run has come to, in a table."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import fmean

from tests.torture.problems import Problem
from tests.torture.round import RoundResult

TARGET = 0.99
ENOUGH = 100
"""The mean recall of fewer searches says little."""


@dataclass
class Summary:
    """All rounds of a run. left_out: what could not be tried on this machine, and why."""

    seed: int
    rounds: list[RoundResult] = field(default_factory=list)
    scenarios: list[str] = field(default_factory=list)
    scenario_problems: list[Problem] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def recalls(self, metric: str) -> list[float]:
        """recall@10 of the searches through the index of collections of a metric."""
        rounds = [r for r in self.rounds if r.plan.metric == metric]
        return [recall for r in rounds for recall in r.recall.plain]

    @property
    def metrics(self) -> list[str]:
        """Those that there were."""
        return sorted({r.plan.metric for r in self.rounds})

    @property
    def problems(self) -> list[Problem]:
        """All of the run."""
        found = [problem for r in self.rounds for problem in r.problems]
        for metric in self.metrics:
            recalls = self.recalls(metric)
            if len(recalls) >= ENOUGH and fmean(recalls) < TARGET:
                detail = f"{metric}: {fmean(recalls):.4f} over {len(recalls)} searches"
                found.append(Problem("mean recall below the target", detail))
        return found + self.scenario_problems

    def __str__(self) -> str:
        rounds = self.rounds
        configurations = {str(c) for r in rounds for c in r.configurations}
        rows = [
            ("seed", str(self.seed)),
            ("minutes", f"{self.seconds / 60:.1f}"),
            ("rounds", f"{len(rounds):,}"),
            ("configurations of the server", f"{len(configurations):,}"),
            ("clients killed", f"{sum(r.kills for r in rounds):,}"),
            ("times that mysqld was killed", f"{sum(r.server_kills for r in rounds):,}"),
            ("actions of all processes", f"{sum(r.actions for r in rounds):,}"),
            ("rows acknowledged", f"{sum(r.acknowledged for r in rounds):,}"),
            ("searches compared with numpy", f"{sum(r.searches for r in rounds):,}"),
            ("slowest call, seconds", f"{max((r.slowest for r in rounds), default=0):.1f}"),
            ("scenarios", f"{len(self.scenarios)}"),
        ]
        refusals = sum((r.refusals for r in rounds), Counter[str]())
        rows += [(f"errors about: {about}", f"{n:,}") for about, n in refusals.most_common()]
        for metric in self.metrics:
            recalls = self.recalls(metric)
            others = [x for r in rounds if r.plan.metric == metric for x in r.recall.others]
            rows.append((f"recall@10, {metric}", _mean(recalls)))
            rows.append((f"other k, filters and pages, {metric}", _mean(others)))
        rows.append(("problems", f"{len(self.problems):,}"))
        lines = [f"{name:40}{value:>28}" for name, value in rows]
        lines += ["", f"{'setting':40}{'rounds':>28}"]
        lines += [f"{name:40}{n:>28}" for name, n in settings(rounds).most_common()]
        lines += [f"not tried: {reason}" for reason in self.left_out]
        return "\n".join(lines)


def settings(rounds: Sequence[RoundResult]) -> Counter[str]:
    """Return in how many rounds each setting was."""
    return Counter(
        name
        for r in rounds
        for name in {setting.name for c in r.configurations for setting in c.settings}
    )


def _mean(recalls: Sequence[float]) -> str:
    if not recalls:
        return "none"
    return f"{fmean(recalls):.4f} of {len(recalls):,}, worst {min(recalls):.2f}"
