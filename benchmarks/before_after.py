"""The index before and after a change, in one run on one server: ratios that noise cannot make.

    python -m benchmarks.before_after COMMIT [--n 100000] [--large]     the index
    python -m benchmarks.before_after COMMIT --training [...]           training alone
    python -m benchmarks.before_after COMMIT --folder FOLDER            adding files, and duplicates

Both versions add the synthetic vectors, train, and search the same queries in turn, block by block;
or train three times in turn; or, three times in turn, both add the folder to a new collection and
find its duplicates.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks.data import load
from benchmarks.dataset import CACHE, Dataset, K
from benchmarks.ground_truth import ground_truth, recall_at_k
from benchmarks.server import LARGE_POOL, STOCK_POOL, database, url
from lookalike import PrivateServer

REPO = Path(__file__).parents[1]
WORKER = Path(__file__).with_name("before_after_worker.py")
BLOCKS = 8
BLOCK = 125
ROUNDS = 3


@contextmanager
def checked_out(commit: str) -> Iterator[Path]:
    """A copy of the sources of a commit."""
    with tempfile.TemporaryDirectory() as folder:
        archive = subprocess.run(
            ["git", "archive", commit, "src"], cwd=REPO, check=True, capture_output=True
        ).stdout
        subprocess.run(["tar", "-x", "-C", folder], input=archive, check=True)
        yield Path(folder)


class Version:
    """One version's worker: a process that imports lookalike from a tree of its own."""

    def __init__(self, tree: Path, name: str) -> None:
        self.name = name
        self.found: list[list[int]] = []
        self.times: list[float] = []
        self._process = subprocess.Popen(
            [sys.executable, str(WORKER), url().replace("/bench?", f"/bench_{name}?")],
            env={**os.environ, "PYTHONPATH": str(tree / "src")},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def ask(self, *command: Any) -> Any:
        assert self._process.stdin and self._process.stdout
        print(json.dumps(command), file=self._process.stdin, flush=True)
        return json.loads(self._process.stdout.readline())

    def close(self) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait()


@contextmanager
def both(tree: Path, pool: int) -> Iterator[list[Version]]:
    """Run a worker of each version, each with a database of its own."""
    names = ("before", "after")
    with database(pool) as db:
        for name in names:
            db.rows(f"DROP DATABASE IF EXISTS bench_{name}")
            db.rows(f"CREATE DATABASE bench_{name}")
        versions = [Version(tree, "before"), Version(REPO, "after")]
        yield versions
        for version in versions:
            version.close()
            db.rows(f"DROP DATABASE bench_{version.name}")


def compare_index(tree: Path, dataset: Dataset, pool: int) -> None:
    figures: dict[str, dict[str, float]] = {}
    data = str(CACHE / dataset.name)
    with both(tree, pool) as versions:
        for version in versions:
            figures[version.name] = version.ask("build", data, dataset.n)
            version.ask("search", data, 0, BLOCKS * BLOCK)  # warm
        for block in range(BLOCKS):
            for version in versions if block % 2 else versions[::-1]:
                found, times = version.ask("search", data, block * BLOCK, BLOCK)
                version.found += found
                version.times += times
        truth = ground_truth(dataset)
        for version in versions:
            figures[version.name] |= {
                "p50": float(np.median(version.times)),
                "p99": float(np.percentile(version.times, 99)),
                "recall": recall_at_k(np.array(version.found), truth, K),
            }
    show(f"{dataset.name}, {dataset.n:,} x {dataset.dim}, pool {pool // 2**20} MB", figures)


def compare_training(tree: Path, dataset: Dataset, pool: int) -> None:
    """Medians of the seconds of trainings, and of the CPU's in the process and the server."""
    all_figures: dict[str, list[dict[str, float]]] = {"before": [], "after": []}
    with both(tree, pool) as versions:
        server = psutil.Process(PrivateServer(CACHE / "mysql").status().pid)
        for version in versions:
            version.ask("fill", str(CACHE / dataset.name), dataset.n)
        for turn in range(ROUNDS):
            for version in versions if turn % 2 else versions[::-1]:
                before = server.cpu_times()
                figures = version.ask("train")
                after = server.cpu_times()
                figures["server's CPU"] = after.user + after.system - before.user - before.system
                all_figures[version.name].append(figures)
    medians = {
        name: {key: float(np.median([run[key] for run in runs])) for key in runs[0]}
        for name, runs in all_figures.items()
    }
    show(f"training {dataset.n:,} x {dataset.dim}, pool {pool // 2**20} MB", medians)


def compare_files(tree: Path, folder: Path) -> None:
    """Medians of the seconds to add a folder, and to find its duplicates."""
    added: dict[str, list[float]] = {"before": [], "after": []}
    searched: dict[str, list[tuple[float, int]]] = {"before": [], "after": []}
    with both(tree, STOCK_POOL) as versions:
        for turn in range(ROUNDS):
            for version in versions if turn % 2 else versions[::-1]:
                added[version.name].append(version.ask("ingest", str(folder), f"c{turn}"))
        for turn in range(ROUNDS):
            for version in versions if turn % 2 else versions[::-1]:
                searched[version.name].append(version.ask("duplicates", f"c{turn}"))
    figures = {
        name: {
            "add": float(np.median(added[name])),
            "duplicates": float(np.median([seconds for seconds, _ in searched[name]])),
            "groups": searched[name][0][1],
        }
        for name in added
    }
    show(f"{folder.name}: seconds, medians of {ROUNDS}", figures)


def show(title: str, figures: dict[str, dict[str, float]]) -> None:
    print(f"\n{title}\n\n| | before | after | after / before |\n|---|---|---|---|")
    for name, before in figures["before"].items():
        after = figures["after"][name]
        print(f"| {name} | {before:.5g} | {after:.5g} | {after / before:.3f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the index before and after a change.")
    parser.add_argument("commit")
    parser.add_argument("--n", type=int, default=100_000)
    parser.add_argument("--large", action="store_true", help="a million vectors as well")
    parser.add_argument("--training", action="store_true", help="only training, in turn")
    parser.add_argument("--folder", type=Path, help="add this folder instead")
    arguments = parser.parse_args()
    with checked_out(arguments.commit) as tree:
        if arguments.folder:
            compare_files(tree, arguments.folder)
            return
        compare = compare_training if arguments.training else compare_index
        compare(tree, load("synthetic", arguments.n), STOCK_POOL)
        if arguments.large:
            compare(tree, load("synthetic", 1_000_000), LARGE_POOL)


if __name__ == "__main__":
    main()
