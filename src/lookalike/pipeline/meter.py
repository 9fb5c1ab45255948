"""Measure the throughput of pipeline stages, in images per second of their working time."""

import threading
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from time import perf_counter


class Meter:
    """Counts the images and working time of each stage."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._images: Counter[str] = Counter()
        self._at_work: Counter[str] = Counter()
        self._since: dict[str, float] = {}

    @contextmanager
    def time(self, stage: str, images: int, *, workers: int = 1) -> Iterator[None]:
        """Count a block that runs in one of `workers` parallel threads."""
        started = perf_counter()
        try:
            yield
        finally:
            seconds = (perf_counter() - started) / workers
            with self._lock:
                self._seconds[stage] += seconds
                self._images[stage] += images

    @contextmanager
    def time_shared(self, stage: str, images: int) -> Iterator[None]:
        """Count a block that shares its workers with others; overlapping time counts once."""
        with self._lock:
            if not self._at_work[stage]:
                self._since[stage] = perf_counter()
            self._at_work[stage] += 1
        try:
            yield
        finally:
            with self._lock:
                self._at_work[stage] -= 1
                if not self._at_work[stage]:
                    self._seconds[stage] += perf_counter() - self._since[stage]
                self._images[stage] += images

    def rates(self) -> dict[str, float]:
        """Return each stage's images per second of its working time."""
        return {
            stage: images / self._seconds[stage]
            for stage, images in self._images.items()
            if images and self._seconds[stage] > 0
        }
