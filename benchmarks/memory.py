"""How much memory it takes to add many images: `python -m benchmarks.memory [--n 100000]`.

The files are 1,500 small JPEGs again and again, each with its own number behind the image: to
lookalike, which goes by bytes, they are all different. What is measured, twice a second, is the
memory of the process that adds them and of its children; what several of them share counts once.
"""

import argparse
import os
from pathlib import Path

from benchmarks.dataset import CACHE
from benchmarks.ingest import EMBEDDED, Task, add, apart, image_folder
from benchmarks.server import STOCK_POOL, database


def numbered(originals: Path, n: int) -> Path:
    """A folder of n files, made once, 1,000 to a folder."""
    folder = CACHE / f"numbered-{n}"
    if not folder.is_dir():
        new = folder.with_name(folder.name + ".new")
        images = [file.read_bytes() for file in sorted(originals.iterdir())]
        for number in range(n):
            part = new / f"{number // 1000:03d}"
            part.mkdir(parents=True, exist_ok=True)
            content = images[number % len(images)] + number.to_bytes(4)
            (part / f"{number:06d}.jpg").write_bytes(content)
        new.rename(folder)
    return folder


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--n", type=int, default=100_000, help="how many images")
    arguments = parser.parse_args()
    CACHE.mkdir(exist_ok=True)
    os.environ["LOOKALIKE_CACHE"] = str(CACHE / "models")
    folder = numbered(image_folder(None, None, EMBEDDED), arguments.n)
    with database(STOCK_POOL):
        task = Task(EMBEDDED, None, None, folder.resolve())
        (rate, _), peak = apart(add, task, "memory")
    print(f"{arguments.n:,} images, {rate:.1f} images/s, memory at most {peak / 2**20:,.0f} MB")


if __name__ == "__main__":
    main()
