"""How long a command takes as a whole process, from start to end.

    python -m benchmarks.start_up [COMMIT]

The example photographs are added once; then each command runs in turn, with COMMIT in turn with
an older version. Medians, in seconds.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path

from benchmarks.before_after import REPO, checked_out
from benchmarks.server import STOCK_POOL, database, url

PHOTOS = REPO / "examples" / "photos"
COMMANDS = (
    ("--help",),
    ("status",),
    ("search", "cat.jpg"),
    ("search", str(PHOTOS / "cat.jpg")),
    ("add", str(PHOTOS)),
)
ROUNDS = 15


def seconds(tree: Path, arguments: tuple[str, ...], database_url: str) -> float:
    """Run a command of the version in a tree, and return how long it took."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(tree / "src"),
        "LOOKALIKE_DATABASE": database_url,
    }
    start = time.perf_counter()
    subprocess.run(
        [sys.executable, "-m", "lookalike", *arguments],
        check=True,
        capture_output=True,
        env=environment,
    )
    return time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure whole commands.")
    parser.add_argument("commit", nargs="?")
    commit = parser.parse_args().commit
    with database(STOCK_POOL), checked_out(commit) if commit else nullcontext() as before:
        trees = {"before": before} if before else {}
        trees["now"] = REPO
        model = ("--model", "efficientnet-lite2")
        seconds(next(iter(trees.values())), ("add", str(PHOTOS), *model), url())
        print(f"| | {' | '.join(trees)} |\n|---|{'---:|' * len(trees)}")
        for arguments in COMMANDS:
            times: dict[str, list[float]] = {name: [] for name in trees}
            for _ in range(ROUNDS):
                for name, tree in trees.items():
                    times[name].append(seconds(tree, arguments, url()))
            medians = " | ".join(f"{statistics.median(each):.2f}" for each in times.values())
            shown = " ".join(arguments).replace(str(PHOTOS), "examples/photos")
            print(f"| `lookalike {shown}` | {medians} |", flush=True)


if __name__ == "__main__":
    main()
