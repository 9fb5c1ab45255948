"""`add` in a process of its own, on a folder of small images that differ."""

import subprocess
import sys
from pathlib import Path

import numpy as np
from PIL import Image

# As `lookalike add` does, but in small transactions.
_ADD = """
import sys, lookalike
from lookalike.add.ingest import IngestOptions
from lookalike.collection import adding
from lookalike.images.walk import ImageWalk

folder, url = sys.argv[1:]
with lookalike.connect(url, notify=lambda line: print(line, flush=True)) as db:
    state = db.collection(model="efficientnet-lite2")._state
    report = adding.add(
        state,
        ImageWalk([folder]),
        IngestOptions(batch_size=4, write_images=4),
        prune=False,
        kind=None,
        progress=lambda done, total: print("done", done, flush=True),
    )
    print("added", report.added, "failed", len(report.failed), flush=True)
"""


def make_images(folder: Path, n_images: int, seed: int) -> set[str]:
    """Paint images that all differ; return their paths."""
    folder.mkdir()
    rng = np.random.default_rng(seed)
    for number in range(n_images):
        squares = rng.integers(0, 256, (3, 3, 3), np.uint8)
        image = Image.fromarray(squares).resize((24, 24), Image.Resampling.NEAREST)
        image.save(folder / f"{number:04}.png")
    return {str(path) for path in folder.iterdir()}


class Adding:
    """A running `add`; its output is in a file, which may be read meanwhile."""

    def __init__(self, folder: Path, url: str) -> None:
        self._log = folder.with_suffix(".log")
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _ADD, str(folder), url], stdout=log, stderr=log
            )

    @property
    def output(self) -> str:
        return self._log.read_text()

    @property
    def acknowledged(self) -> int:
        """How many files it has told to be done."""
        done = [line.split()[1] for line in self.output.splitlines() if line.startswith("done ")]
        return int(done[-1]) if done else 0

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def wait(self, seconds: float) -> int:
        """Return its status; it is killed if it takes longer."""
        try:
            return self._process.wait(seconds)
        finally:
            self._process.kill()
            self._process.wait()
