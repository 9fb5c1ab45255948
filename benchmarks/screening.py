"""How quickly uploads are screened: `python -m benchmarks.screening`.

`lookalike screen -` reads the paths of small JPEGs and answers line by line, against blocklists of
several sizes; beside it, in the same run and in turn, the model alone on images that are ready.
The process has screened one image before its clock starts: its start is not counted.

The model takes all cores, and decoding and searching want them too; the last lines are of a model
that is given one thread, beside which there is a core for the rest.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.data import SEED
from benchmarks.dataset import CACHE
from benchmarks.ingest import EMBEDDED, ROUNDS, SAMPLE, Task, alone, apart, image_folder
from benchmarks.server import STOCK_POOL, database, url
from benchmarks.synthetic import CHUNK, Process, Recipe
from lookalike import Database, connect, load_model
from lookalike.images.decode import open_image
from lookalike.models.efficientnet.model import EfficientNetLite2

SIZES = (100, 1000, 10_000, 100_000)
BATCH = 32


def fill(db: Database, size: int) -> str:
    """A blocklist of synthetic embeddings; its name."""
    dim = load_model(EMBEDDED).dim
    blocklist = db.collection(f"blocklist_{size}", model=EMBEDDED)
    process = Process(dim, Recipe(), SEED)
    for first in range(0, size, CHUNK):
        n = min(CHUNK, size - first)
        names = [str(number) for number in range(first, first + n)]
        blocklist.add_embeddings(names, process.rows(first // CHUNK, n))
    return blocklist.name


def opened(task: Task) -> float:
    """Images a second of a loop that opens a batch of files and embeds it, and does no more."""
    model = load_model(task.model)
    files = sorted(task.folder.iterdir())
    model.embed_images([open_image(files[0])])
    start = time.perf_counter()
    for first in range(0, len(files), BATCH):
        model.embed_images([open_image(file) for file in files[first : first + BATCH]])
    return len(files) / (time.perf_counter() - start)


def screened(blocklist: str, files: Sequence[Path]) -> float:
    """Images a second of one process that screens files against a blocklist."""
    command = [Path(sys.executable).with_name("lookalike"), "screen", "-", "--against", blocklist]
    process = subprocess.Popen(
        [*command, "--database", url(), "--json"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin and process.stdout

    def ask(some: Sequence[Path]) -> None:
        process.stdin.writelines(f"{file}\n" for file in some)
        process.stdin.flush()

    with process:
        ask(files[:1])
        process.stdout.readline()
        start = time.perf_counter()
        asking = threading.Thread(target=ask, args=(files[1:],))
        asking.start()
        answers = [json.loads(process.stdout.readline()) for _ in files[1:]]
        seconds = time.perf_counter() - start
        asking.join()
        process.stdin.close()
    if failed := [answer for answer in answers if answer["error"]]:
        raise SystemExit(f"{len(failed)} images failed, the first: {failed[0]}")
    return len(answers) / seconds


def with_one_thread(task: Task, blocklist: str) -> tuple[float, float]:
    """Images a second of a model of one thread on pixels that are ready, and of screening by it."""
    model = EfficientNetLite2(threads=1)
    files = sorted(task.folder.iterdir())
    pixels = np.stack([model.preprocessing(open_image(file)) for file in files[:SAMPLE]])
    start = time.perf_counter()
    for first in range(0, SAMPLE, model.batch_size):
        model.embed_batch(pixels[first : first + model.batch_size])
    alone = SAMPLE / (time.perf_counter() - start)
    with connect(url()) as db:
        answers = db.collection(blocklist, model=model).screen(files)
        next(answers)
        start = time.perf_counter()
        n = sum(1 for _ in answers)
    return alone, n / (time.perf_counter() - start)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--n", type=int, help="how many images are screened")
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="of the blocklists")
    arguments = parser.parse_args()
    CACHE.mkdir(exist_ok=True)
    os.environ["LOOKALIKE_CACHE"] = str(CACHE / "models")
    folder = image_folder(None, arguments.n, EMBEDDED).resolve()
    files = sorted(folder.iterdir())
    task = Task(EMBEDDED, None, None, folder)
    rates: dict[str, list[float]] = {}
    with database(STOCK_POOL) as db:
        blocklists = [fill(db, size) for size in arguments.sizes]
        for _ in range(ROUNDS):
            rates.setdefault("the model alone, pixels ready", []).append(
                apart(alone, task, False)[0][0]
            )
            rates.setdefault("the model alone, from files", []).append(apart(opened, task)[0])
            for name in blocklists:
                rates.setdefault(name, []).append(screened(name, files))
            one, beside = apart(with_one_thread, task, blocklists[-1])[0]
            rates.setdefault("the model alone, one thread", []).append(one)
            rates.setdefault(f"{blocklists[-1]}, one thread", []).append(beside)
    print(f"{len(files):,} images, medians of {ROUNDS} rounds\n")
    print("| | images/s | of the model on pixels | of the model on files |\n|---|---:|---:|---:|")
    ceilings = [statistics.median(each) for each in list(rates.values())[:2]]
    for name, each in rates.items():
        rate = statistics.median(each)
        print(f"| {name} | {rate:.1f} | {rate / ceilings[0]:.2f} | {rate / ceilings[1]:.2f} |")


if __name__ == "__main__":
    main()
