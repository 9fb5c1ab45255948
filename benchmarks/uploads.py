"""Images uploaded to `lookalike serve`, one a request: how many a second, and the server's memory.

    python -m benchmarks.uploads [--n 10000] [--clients 32] [--width 320]

The server, the clients and MySQL share the machine. Every image is another one. Memory is that of
the server's process, without those of the decoders.
"""

import argparse
import io
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import numpy as np
import psutil
from PIL import Image

from benchmarks.serve import TOKEN, started
from benchmarks.server import STOCK_POOL, database

COLLECTION = "uploads"


def picture(seed: int, width: int) -> bytes:
    """A JPEG of random colours, three wide and four high."""
    pixels = np.random.default_rng(seed).integers(0, 255, (9, 12, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).resize((width, width * 3 // 4)).save(file, "JPEG", quality=85)
    return file.getvalue()


class Uploads:
    """What clients have uploaded so far."""

    def __init__(self, n: int) -> None:
        self.n = n
        self.seconds: list[float] = []
        self.failed: list[str] = []
        self.done = threading.Event()

    def take(self, seconds: float, failure: str) -> None:
        self.seconds.append(seconds)
        if failure:
            self.failed.append(failure)
        if len(self.seconds) >= self.n:
            self.done.set()


def send(port: int, seeds: Iterator[int], uploads: Uploads, width: int) -> None:
    """Upload images until enough are."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    url = f"http://127.0.0.1:{port}/api/v1/images?collection={COLLECTION}"
    with httpx.Client(headers=headers, timeout=120) as client:
        for seed in seeds:
            if seed >= uploads.n:
                return
            image = ("image.jpg", picture(seed, width))
            began = time.perf_counter()
            answer = client.post(url, files={"image": image})
            took = time.perf_counter() - began
            uploads.take(took, "" if answer.status_code == 201 else answer.text)


@contextmanager
def watched(process: psutil.Process, uploads: Uploads) -> Iterator[list[tuple[int, float]]]:
    """Yield the list of (images, megabytes), which grows ten times."""
    seen: list[tuple[int, float]] = []

    def watch() -> None:
        while not uploads.done.wait(0.2):
            if len(uploads.seconds) >= (len(seen) + 1) * uploads.n / 10:
                seen.append((len(uploads.seconds), process.memory_info().rss / 2**20))

    thread = threading.Thread(target=watch)
    thread.start()
    yield seen
    thread.join()
    seen.append((len(uploads.seconds), process.memory_info().rss / 2**20))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--width", type=int, default=320)
    arguments = parser.parse_args()
    uploads, numbers = Uploads(arguments.n), count()
    lock = threading.Lock()

    def seeds() -> Iterator[int]:
        while True:
            with lock:
                seed = next(numbers)
            yield seed

    with (
        TemporaryDirectory() as folder,
        database(STOCK_POOL) as db,
        started(COLLECTION, "--uploads", folder) as (port, process),
    ):
        clients = [
            threading.Thread(target=send, args=(port, seeds(), uploads, arguments.width))
            for _ in range(arguments.clients)
        ]
        began = time.perf_counter()
        with watched(process, uploads) as seen:
            for client in clients:
                client.start()
            for client in clients:
                client.join()
        took = time.perf_counter() - began
        rows = db.collection(COLLECTION).count()
        files = sum(path.is_file() for path in Path(folder).rglob("*.jpg"))
    p50, p99 = 1000 * np.percentile(uploads.seconds, [50, 99])
    print(f"{arguments.n / took:,.0f} images/s, p50 {p50:,.0f} ms, p99 {p99:,.0f} ms")
    print(f"{rows:,} rows, {files:,} files, {len(uploads.failed)} failed {uploads.failed[:1]}")
    print("MB:", ", ".join(f"{n:,}: {megabytes:,.0f}" for n, megabytes in seen))


if __name__ == "__main__":
    main()
