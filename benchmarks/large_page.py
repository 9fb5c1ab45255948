"""The page of a large collection: `python -m benchmarks.large_page [--n 100000]`.

The files are hard links to the example photographs, so that there are that many files to show; the
embeddings are the synthetic ones of benchmarks.data.
"""

import argparse
import hashlib
import json
import os
from pathlib import Path
from shutil import which
from tempfile import TemporaryDirectory

from playwright.sync_api import sync_playwright

from benchmarks.data import load
from benchmarks.serve import TOKEN, started, wait_until_held
from benchmarks.server import STOCK_POOL, database, fill
from benchmarks.web_page import FLAGS, measured
from lookalike import Database
from lookalike.dialects import StoredFile, Table
from tests.places import PHOTOS

COLLECTION = "page"
BATCH = 1000


def give_files(db: Database, n: int, folder: Path) -> None:
    """Make a file for each of n rows, and record it as `add` would."""
    photos = [(path, hashlib.sha256(path.read_bytes()).digest()) for path in PHOTOS.glob("*.*")]
    photos = [(path, digest) for path, digest in photos if path.suffix != ".md"]
    table = Table(COLLECTION)
    db.connection.execute(db.dialect.create_files(table, "INT"))
    for first in range(0, n, BATCH):
        rows = []
        for number in range(first, min(n, first + BATCH)):
            photo, digest = photos[number % len(photos)]
            path = folder / f"{number // BATCH}" / f"{number}{photo.suffix}"
            path.parent.mkdir(exist_ok=True)
            os.link(photo, path)
            about = path.stat()
            rows.append((number + 1, StoredFile(path, digest, about.st_size, about.st_mtime_ns)))
        db.connection.execute(db.dialect.insert_files(table, rows))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--n", type=int, default=100_000)
    parser.add_argument("--repeats", type=int, default=15)
    arguments = parser.parse_args()
    program = which("chromium")
    assert program, "chromium is not on the PATH"
    dataset = load("synthetic", arguments.n)
    # Beside the photographs: hard links do not cross disks.
    with TemporaryDirectory(dir=PHOTOS.parent) as folder, database(STOCK_POOL) as db:
        fill(COLLECTION, dataset.base)
        give_files(db, arguments.n, Path(folder))
        db.collection(COLLECTION).index.build()
        with started(COLLECTION) as (port, _), sync_playwright() as playwright:
            wait_until_held(port)
            browser = playwright.chromium.launch(executable_path=Path(program), args=FLAGS)
            url = f"http://127.0.0.1:{port}/?token={TOKEN}"
            print(json.dumps(measured(browser, url, arguments.repeats), indent=2))
            browser.close()


if __name__ == "__main__":
    main()
