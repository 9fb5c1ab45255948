"""A run: the scenarios, and rounds until the time is up, in folders that are removed again."""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path

from tests.mortal_server import mortal_server
from tests.torture import problems
from tests.torture.disk import can_mount
from tests.torture.interrupts import uninterrupted
from tests.torture.problems import Problem
from tests.torture.round import Plan, RoundResult, plan_round, run_round
from tests.torture.scenarios import LOCK_WAIT, SCENARIOS, Place
from tests.torture.server import Templates
from tests.torture.settings import DISK_FULL
from tests.torture.summary import Summary

SECONDS = 8.0
"""What goes on in a round takes so long; its start and its checks come on top."""

KEPT = 5
"""So many rounds with problems are kept whole."""

Tell = Callable[[str], None]


def run_scenarios(mysqld: Path, summary: Summary, *, tell: Tell = print) -> None:
    """Play every scenario, each in a database of its own; what comes of it is in the summary."""
    with ExitStack() as stack:
        with uninterrupted():
            server = stack.enter_context(mortal_server(mysqld))
        server.run(f"SET GLOBAL lock_wait_timeout = {LOCK_WAIT}")
        for scenario in SCENARIOS:
            name = scenario.__name__.replace("_", " ")
            found = [Problem(name, told) for told in scenario(Place(server, server.new_database()))]
            summary.scenarios.append(name)
            summary.scenario_problems += found
            tell(f"scenario: {name}")
            for line in problems.lines(found):
                tell(f"  {line}")


def run(
    mysqld: Path,
    summary: Summary,
    numbers: Iterable[int],
    *,
    minutes: float = float("inf"),
    seconds: float = SECONDS,
    keep: Path | None = None,
    tell: Tell = print,
) -> None:
    """Play the rounds of these numbers while there is time.

    seconds: of a round. keep: a folder for the files of the first rounds with problems. What has
    come of it is in the summary, also where it is interrupted.
    """
    started = time.monotonic()
    mounts = can_mount()
    if not mounts:
        summary.left_out.append(f"{DISK_FULL} (to mount one needs root)")
    with tempfile.TemporaryDirectory(prefix="lk-torture-") as name:
        templates = Templates(mysqld, Path(name))
        for number in numbers:
            if time.monotonic() - started > 60 * minutes:
                break
            plan = plan_round(summary.seed, number, can_mount=mounts)
            result = _play(plan, templates, seconds, keep)
            summary.rounds.append(result)
            summary.seconds = time.monotonic() - started
            _tell(result, tell)


def _play(plan: Plan, templates: Templates, seconds: float, keep: Path | None) -> RoundResult:
    """Play a round in a folder that is removed again, and kept as a copy where it was wrong."""
    with ExitStack() as stack:
        with uninterrupted():
            folder = Path(tempfile.mkdtemp(prefix="lk-"))
            stack.callback(shutil.rmtree, folder)
        result = run_round(plan, templates, folder, seconds)
        if result.problems and keep is not None and len(list(keep.glob("round-*"))) < KEPT:
            copy = keep / f"round-{plan.number}"
            shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("socket*", "mysql.sock*"))
    return result


def _tell(result: RoundResult, tell: Tell) -> None:
    tell(
        f"{result.plan}: {result.seconds:.0f} s, {result.kills} clients and "
        f"{result.server_kills} times mysqld killed, {result.searches} searches, "
        f"{result.acknowledged:,} rows, slowest {result.slowest:.1f} s"
    )
    for line in problems.lines(result.problems):
        tell(f"  {line}")
    if result.problems:
        tell(f"  repeat it: {result.plan.repeat}")
