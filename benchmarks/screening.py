"""How quickly uploads are screened: `python -m benchmarks.screening`.

`lookalike screen -` reads the paths of small JPEGs and answers line by line, against blocklists of
several sizes; beside it, in the same run and in turn, the model alone on images that are ready.
The process has screened one image before its clock starts: its start is not counted.
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

from benchmarks.data import CACHE, SEED
from benchmarks.index import STOCK_POOL, database, url
from benchmarks.ingest import EMBEDDED, ROUNDS, Task, alone, apart, image_folder
from benchmarks.synthetic import Process, Recipe
from lookalike import Database, load_model

SIZES = (100, 10_000, 100_000)


def fill(db: Database, size: int) -> str:
    """A blocklist of synthetic embeddings; its name."""
    dim = load_model(EMBEDDED).dim
    blocklist = db.collection(f"blocklist_{size}", model=EMBEDDED)
    embeddings = Process(dim, Recipe(), SEED).rows(0, size)
    blocklist.add_embeddings([str(number) for number in range(size)], embeddings)
    return blocklist.name


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--n", type=int, help="how many images are screened")
    arguments = parser.parse_args()
    CACHE.mkdir(exist_ok=True)
    os.environ["LOOKALIKE_CACHE"] = str(CACHE / "models")
    folder = image_folder(None, arguments.n, EMBEDDED).resolve()
    files = sorted(folder.iterdir())
    task = Task(EMBEDDED, None, None, folder)
    rates: dict[str, list[float]] = {}
    with database(STOCK_POOL) as db:
        blocklists = [fill(db, size) for size in SIZES]
        for _ in range(ROUNDS):
            rates.setdefault("the model alone", []).append(apart(alone, task, False)[0][0])
            for name in blocklists:
                rates.setdefault(name, []).append(screened(name, files))
    print(f"{len(files):,} images, medians of {ROUNDS} rounds\n")
    print("| | images/s | of the model alone |\n|---|---:|---:|")
    ceiling = statistics.median(rates["the model alone"])
    for name, each in rates.items():
        rate = statistics.median(each)
        print(f"| {name} | {rate:.1f} | {rate / ceiling:.2f} |")


if __name__ == "__main__":
    main()
