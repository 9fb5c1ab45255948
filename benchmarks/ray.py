"""What Ray adds to embedding an image: `python -m benchmarks.ray`.

    python -m benchmarks.ray [--few 400] [--many 1600] [--rounds 3]

The same files are added by lookalike's own pipeline and by a Ray cluster on this machine, in turn:
few of them and many, so that the slope is an image's and the rest is the start's. The time of all
processes is counted, Ray's too, and MySQL's not. The photographs are made as in
`benchmarks.photographs`; the MySQL is the benchmarks' own, in benchmarks/.cache.
"""

import argparse
import shutil
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import psutil

from benchmarks import photographs
from benchmarks.dataset import CACHE
from benchmarks.server import STOCK_POOL, database
from lookalike import Database, RayCluster

MODEL = "efficientnet-lite2"
SIZE = (300, 225)
LOOK_SECONDS = 0.25  # between two looks at the processes' times
WAYS = {"lookalike's own": None, "Ray": RayCluster(workers=(1, None))}


class Cost(NamedTuple):
    """Seconds of a run: by the clock, and of cores."""

    wall: float
    cores: float


class Line(NamedTuple):
    """What a run costs: seconds of its start, and milliseconds an image; each as in `Cost`."""

    start: Cost
    image: Cost


def line(few: int, few_cost: Cost, many: int, many_cost: Cost) -> Line:
    """Return the line through two runs of different numbers of images."""
    slopes = [(b - a) / (many - few) for a, b in zip(few_cost, many_cost, strict=True)]
    starts = [a - few * slope for a, slope in zip(few_cost, slopes, strict=True)]
    return Line(Cost(*starts), Cost(*(1000 * slope for slope in slopes)))


class Watch:
    """Adds up the time of this process's and its descendants' cores, but for MySQL's."""

    def __init__(self) -> None:
        self._seconds: dict[tuple[int, float], float] = {}
        self._end = threading.Event()

    def look(self) -> None:
        own = psutil.Process()
        for process in [own, *own.children(recursive=True)]:
            try:
                if process.name() != "mysqld":
                    times = process.cpu_times()
                    key = process.pid, process.create_time()
                    self._seconds[key] = times.user + times.system
            except psutil.Error:  # it has ended: its last look counts
                continue

    @property
    def seconds(self) -> float:
        return sum(self._seconds.values())

    @contextmanager
    def watching(self) -> Iterator[None]:
        def watch() -> None:
            while not self._end.wait(LOOK_SECONDS):
                self.look()

        thread = threading.Thread(target=watch)
        thread.start()
        try:
            yield
        finally:
            self._end.set()
            thread.join()


def add(db: Database, folder: Path, ray: RayCluster | None) -> Cost:
    """Add a folder to a new collection and return what that cost."""
    images = db.collection("images", model=MODEL)
    watch = Watch()
    watch.look()
    before, start = watch.seconds, time.perf_counter()
    with watch.watching():
        report = images.add(folder, ray=ray)
    cost = Cost(time.perf_counter() - start, watch.seconds - before)
    if report.failed or report.added != sum(1 for _ in folder.iterdir()):
        raise SystemExit(f"{report.added} images were added, {len(report.failed)} failed")
    db.delete_collection("images")
    return cost


def measure(db: Database, few: Path, many: Path, rounds: int) -> dict[str, list[Line]]:
    counts = [sum(1 for _ in folder.iterdir()) for folder in (few, many)]
    lines: dict[str, list[Line]] = {name: [] for name in WAYS}
    for _ in range(rounds):
        for name, ray in WAYS.items():
            costs = [add(db, folder, ray) for folder in (few, many)]
            lines[name].append(line(counts[0], costs[0], counts[1], costs[1]))
    return lines


def table(lines: dict[str, list[Line]]) -> str:
    """The Markdown table of medians."""
    rows = ["| | start, s | ms an image | ms of a core an image |", "|---|---:|---:|---:|"]
    for name, each in lines.items():
        start = statistics.median(line.start.wall for line in each)
        wall = statistics.median(line.image.wall for line in each)
        cores = statistics.median(line.image.cores for line in each)
        rows.append(f"| {name} | {start:.1f} | {wall:.1f} | {cores:.1f} |")
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--few", type=int, default=400)
    parser.add_argument("--many", type=int, default=1600)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    many = photographs.make(CACHE / f"ray-{arguments.many}", arguments.many, SIZE)
    with tempfile.TemporaryDirectory() as folder, database(STOCK_POOL) as db:
        for file in sorted(many.iterdir())[: arguments.few]:
            shutil.copy2(file, folder)
        print(table(measure(db, Path(folder), many, arguments.rounds)))


if __name__ == "__main__":
    main()
