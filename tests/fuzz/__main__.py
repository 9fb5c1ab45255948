"""Adds thousands of mutated images to a real database, and tells what became of them.

    python -m tests.fuzz [--files N] [--seed N] [--keep]

It ends with status 1 where anything is not as it should be: a file that is neither stored nor a
failure, an error, a hang, a program that was started, a child process that was left behind, or
memory that grows with the number of files.
"""

import argparse
import random
import shutil
import sys
import tempfile
from pathlib import Path

import lookalike
from lookalike import PrivateServer
from tests.conftest import TEST_HOME
from tests.fuzz.run import Result, early_and_late, fuzz, summary

TIME_LIMIT = 20.0
DATABASE = "lookalike_fuzz"
GROWTH = 1.3
SLACK = 60.0  # megabytes that memory may differ by in any case


def main() -> None:
    """Run the fuzz in a folder that is removed again."""
    parser = argparse.ArgumentParser(description="Add mutated images, and account for them.")
    parser.add_argument("--files", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    parser.add_argument("--keep", action="store_true", help="keep the files, and tell where")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    server = PrivateServer(TEST_HOME)
    server.install()
    was_running = server.status().running
    server.start()
    folder = Path(tempfile.mkdtemp(prefix="lookalike-fuzz-"))
    try:
        result = _run(server, folder, options.files, options.seed)
    finally:
        if not was_running:
            server.stop()
        if options.keep:
            print(f"The files are in {folder}")
        else:
            shutil.rmtree(folder)
    print(summary(result))
    for problem in result.problems:
        print(f"PROBLEM: {problem}")
    sys.exit(1 if result.problems else 0)


def _run(server: PrivateServer, folder: Path, n_files: int, seed: int) -> Result:
    with lookalike.connect(server.url) as db:
        db.rows(f"DROP DATABASE IF EXISTS {DATABASE}")
        db.rows(f"CREATE DATABASE {DATABASE}")
        try:
            url = server.url.replace("/lookalike?", f"/{DATABASE}?")
            result = fuzz(folder, url, n_files, seed, time_limit=TIME_LIMIT)
        finally:
            db.rows(f"DROP DATABASE {DATABASE}")
    _check_memory(result)
    return result


def _check_memory(result: Result) -> None:
    """Compare the memory early on with that at the end."""
    kinds = "the parent", "a child"
    for what, before, after in zip(kinds, *early_and_late(result), strict=True):
        if after > GROWTH * before + SLACK:
            result.problems.append(f"{what} grew from {before:.0f} to {after:.0f} MiB")


if __name__ == "__main__":
    main()
