"""A run: rounds until the time is up, each in a folder that is removed again."""

import shutil
import tempfile
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path

from tests.torture import problems
from tests.torture.disk import can_mount
from tests.torture.round import plan_round, run_round
from tests.torture.server import Templates
from tests.torture.settings import DISK_FULL
from tests.torture.summary import Summary

SECONDS = 8.0
"""What goes on in a round takes so long; its start and its checks come on top."""

KEPT = 5
"""So many rounds with problems are kept whole."""


def run(
    mysqld: Path,
    summary: Summary,
    numbers: Iterable[int],
    *,
    minutes: float = float("inf"),
    seconds: float = SECONDS,
    keep: Path | None = None,
    tell: Callable[[str], None] = print,
) -> None:
    """Play the rounds of these numbers while there is time.

    seconds: of a round. keep: a folder for the files of the first rounds with problems. What has
    come of it is in the summary, also where it is interrupted.
    """
    started = time.monotonic()
    mounts = can_mount()
    if not mounts:
        summary.left_out.append(f"{DISK_FULL} (mounting needs root)")
    with tempfile.TemporaryDirectory(prefix="lk-torture-") as name:
        templates = Templates(mysqld, Path(name))
        for number in numbers:
            if time.monotonic() - started > 60 * minutes:
                break
            plan = plan_round(summary.seed, number, can_mount=mounts)
            with ExitStack() as stack:
                folder = Path(tempfile.mkdtemp(prefix="lk-"))
                stack.callback(shutil.rmtree, folder)
                result = run_round(plan, templates, folder, seconds)
                if result.problems and keep is not None and _kept(keep) < KEPT:
                    shutil.copytree(
                        folder, keep / f"round-{number}", ignore=shutil.ignore_patterns("socket*")
                    )
            summary.rounds.append(result)
            summary.seconds = time.monotonic() - started
            tell(
                f"{plan}: {result.seconds:.0f} s, {result.kills} clients and "
                f"{result.server_kills} times mysqld killed, {result.searches} searches, "
                f"{result.acknowledged:,} rows, slowest {result.slowest:.1f} s"
            )
            for line in problems.lines(result.problems):
                tell(f"  {line}")
            if result.problems:
                tell(f"  repeat it: {plan.repeat}")


def _kept(folder: Path) -> int:
    return len(list(folder.glob("round-*")))
