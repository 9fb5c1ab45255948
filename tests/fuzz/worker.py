"""The process under test: adds a folder to a collection as users do, with a cheap model.

    python -m tests.fuzz.worker DATABASE FOLDER SECONDS

It writes a line of JSON whenever files are done with, and one about the whole at the end.
"""

import json
import sys
import time
from collections import defaultdict
from contextlib import suppress
from pathlib import Path
from typing import ClassVar

import numpy as np
import numpy.typing as npt
import psutil

import lookalike
from lookalike.models.efficientnet.model import PREPROCESSING
from lookalike.pipeline import embedder
from lookalike.pipeline.decoder import Decoded, Decoder
from tests.fuzz.originals import PHOTO

COLLECTION = "fuzz"


class MeanColours:
    """What an image looks like from afar; the preprocessing is the embedded model's."""

    id, dim, has_text = "mean-colours", 13, False
    batch_size, precision = 32, "float32"
    preprocessing = PREPROCESSING

    def embed_batch(self, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float32]:
        n, half = len(pixels), PREPROCESSING.crop // 2
        quarters = pixels.reshape(n, 2, half, 2, half, 3).mean((2, 4), dtype=np.float32)
        return np.hstack([quarters.reshape(n, 12), np.ones((n, 1), np.float32)])

    def embed_images(self, images):
        return self.embed_batch(np.stack([self.preprocessing(image) for image in images]))

    def embed_texts(self, texts):
        raise lookalike.ModelError("this model has no text")


class MeasuredDecoder(Decoder):
    """Notes the slowest files, and memory after each file: of this process and of the child."""

    slowest: ClassVar[list[tuple[float, str]]] = []
    memory: ClassVar[dict[int, list[tuple[int, int]]]] = defaultdict(list)
    """In bytes, by the process id of the child."""

    def decode(self, path: Path) -> Decoded:
        started = time.perf_counter()
        try:
            return super().decode(path)
        finally:
            seconds = time.perf_counter() - started
            slowest = [*MeasuredDecoder.slowest, (seconds, path.name)]
            MeasuredDecoder.slowest = sorted(slowest)[-5:]
            if self._process is not None:
                self._measure(self._process.pid)

    def _measure(self, child: int) -> None:
        with suppress(psutil.Error):
            sizes = psutil.Process().memory_info().rss, psutil.Process(child).memory_info().rss
            self.memory[child].append(sizes)


def main(database: str, folder: str, time_limit: str) -> None:
    embedder.Decoder = MeasuredDecoder  # type: ignore[misc]
    with lookalike.connect(database) as db:
        collection = db.collection(COLLECTION, model=MeanColours())
        # So that no bad file is the first of all: then the model would be suspected.
        collection.add(PHOTO)
        report = collection.add(folder, time_limit=float(time_limit), progress=_tell)
    counts = {
        "stored": report.added + report.reused,
        "failed": len(report.failed),
        "seconds": report.seconds,
        "slowest": MeasuredDecoder.slowest,
        "memory": max(MeasuredDecoder.memory.values(), key=len),
        "reasons": {failure.path.name: failure.reason for failure in report.failed},
    }
    print(json.dumps(counts), flush=True)


def _tell(done: int, total: int | None) -> None:
    print(json.dumps({"done": done}), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
