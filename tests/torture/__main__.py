"""Tortures the index: many processes, kills, odd servers, and numpy to tell what is right.

    python -m tests.torture [--minutes N] [--seed N] [--round N] [--keep]

It ends with status 1 where anything was lost, doubled, wrong or refused without need, or where
the mean recall is below the target. Needs no root, but for the disk that fills up.
"""

import argparse
import functools
import itertools
import random
import signal
import sys
import tempfile
from pathlib import Path

from lookalike import PrivateServer
from tests.conftest import TEST_HOME
from tests.torture.run import SECONDS, run, run_scenarios
from tests.torture.summary import Summary


def main() -> None:
    """Run it, and print the summary, also of what was interrupted."""
    parser = argparse.ArgumentParser(description="Torture the index, and compare it with numpy.")
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--round", type=int, help="this round alone, to repeat it")
    parser.add_argument("--seconds", type=float, default=SECONDS, help="of a round")
    parser.add_argument(
        "--keep", action="store_true", help="keep the files of rounds with problems, and tell where"
    )
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that all is cleaned up
    mysqld = PrivateServer(TEST_HOME).install()
    summary = Summary(options.seed)
    keep = Path(tempfile.mkdtemp(prefix="lookalike-torture-")) if options.keep else None
    numbers = itertools.count() if options.round is None else [options.round]
    tell = functools.partial(print, flush=True)
    minutes, seconds = options.minutes, options.seconds
    try:
        if options.round is None:
            run_scenarios(mysqld, summary, tell=tell)
        run(mysqld, summary, numbers, minutes=minutes, seconds=seconds, keep=keep, tell=tell)
    except KeyboardInterrupt:
        print("interrupted")
    print(summary)
    if keep is not None and list(keep.iterdir()):
        print(f"The files of rounds with problems are in {keep}")
    elif keep is not None:
        keep.rmdir()
    sys.exit(1 if summary.problems else 0)


if __name__ == "__main__":
    main()
