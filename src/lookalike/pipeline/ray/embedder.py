"""Embed image files on a Ray cluster: the driver's side of it."""

import importlib.util
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np

import lookalike
from lookalike.core.cluster import RayCluster
from lookalike.core.errors import (
    EmbeddingError,
    ImageError,
    InputError,
    LookalikeError,
    MissingExtra,
)
from lookalike.models.base import BatchModel, Model
from lookalike.models.lazy import LazyModel
from lookalike.pipeline.decoder import Decoded, OutOfReach
from lookalike.pipeline.embedder import Job
from lookalike.pipeline.meter import Meter
from lookalike.pipeline.ray.driver import DriverOptions, Row
from lookalike.pipeline.ray.process import RayDriver
from lookalike.pipeline.ray.workers import (
    FATAL,
    NOT_EMBEDDED,
    OUT_OF_REACH,
    SOUND,
    DecodeOptions,
    ModelOptions,
)
from lookalike.pipeline.tasks import Channel, TaskGroup

T = TypeVar("T")

WINDOW = 100_000
"""Files handed to Ray at once."""

WINDOW_SECONDS = 20.0
"""A window ends this long after its first file: its workers load the model anew."""

TRIES = 3
"""How often a file is handed to Ray that comes back neither embedded nor failed."""

_NO_PIXELS = np.empty((0, 0, 3), np.uint8)


def check(model: Model | str | None) -> None:
    """Check, before anything is started, that Ray is there and that workers can load a model.

    Raises MissingExtra, and InputError for a model that a program has made itself.
    """
    if not all(importlib.util.find_spec(module) for module in ("ray", "pyarrow")):
        raise MissingExtra("ray", "embedding on a Ray cluster")
    if model is None or isinstance(model, str):
        return
    if not type(model).__module__.startswith("lookalike.models."):
        raise InputError(
            f"Ray's workers load a model by its name, and {model.id} is an object of your "
            "program: add without ray=, or save it as a folder of sentence-transformers"
        )


class RayEmbedder(Generic[T]):
    """Embeds image files as `Embedder` does, but on the workers of a Ray cluster.

    path_of: returns an item's path, which every worker must be able to read. Ray is started when
    there is a file to embed. notify: called with one line of news. The rest is as in `Embedder`.
    """

    look_ahead = WINDOW

    def __init__(
        self,
        model: LazyModel,
        path_of: Callable[[T], Path],
        cluster: RayCluster,
        *,
        batch_size: int | None,
        time_limit: float,
        meter: Meter,
        notify: Callable[[str], None],
    ) -> None:
        self._load_model = model
        self._path_of = path_of
        self._cluster = cluster
        self._batch_size = batch_size
        self._time_limit = time_limit
        self._meter = meter
        self._notify = notify
        self._has_embedded = False

    def embed(self, group: TaskGroup, items: Channel[T]) -> Generator[list[Job[T]], None, None]:
        """Yield files with their embeddings or errors, block by block; close it to end Ray."""
        window = items.take(WINDOW, WINDOW_SECONDS)
        if not window:
            return
        driver = RayDriver(self._options, check=group.check, notify=self._notify)
        with closing(driver):
            while window:
                with self._meter.time("ray", len(window)):
                    yield from self._embed(driver, window)
                window = items.take(WINDOW, WINDOW_SECONDS)

    def _options(self, folder: str) -> DriverOptions:
        model = self._load_model.get()
        preprocessing = model.preprocessing if isinstance(model, BatchModel) else None
        return DriverOptions(
            self._cluster,
            DecodeOptions(preprocessing, self._time_limit),
            ModelOptions(model.id, model.dim, lookalike.__version__, self._batch_size),
            folder,
        )

    def _embed(self, driver: RayDriver, window: list[T]) -> Iterator[list[Job[T]]]:
        pending = dict(enumerate(window))
        for _ in range(TRIES):
            files = [(number, str(self._path_of(item))) for number, item in pending.items()]
            for rows in driver.embed(files):
                yield self._jobs(rows, pending)
            if not pending:
                return
        reason = f"lost by Ray: {driver.lost or 'no worker answered'}"
        yield [Job(item, error=OutOfReach(reason)) for item in pending.values()]

    def _jobs(self, rows: list[Row], pending: dict[int, T]) -> list[Job[T]]:
        """Return rows as jobs, and take them off the pending ones."""
        jobs = []
        for row in rows:
            if row.outcome == FATAL:
                raise LookalikeError(row.reason)
            if row.number not in pending:  # of a task that ran twice
                continue
            job = Job(pending.pop(row.number))
            jobs.append(job)
            if row.outcome in (SOUND, NOT_EMBEDDED):
                job.decoded = Decoded(_NO_PIXELS, row.size, row.mtime_ns)
            if row.outcome == SOUND:
                job.embedding = np.frombuffer(row.embedding, np.float32)
            else:
                kind = OutOfReach if row.outcome == OUT_OF_REACH else ImageError
                job.error = kind(row.reason)
        self._check_model([row.outcome for row in rows], jobs)
        return jobs

    def _check_model(self, outcomes: list[int], jobs: list[Job[T]]) -> None:
        """Raise EmbeddingError if the model embeds nothing: then it is at fault, not the images."""
        self._has_embedded |= SOUND in outcomes
        if not self._has_embedded and NOT_EMBEDDED in outcomes:
            raise EmbeddingError(next(str(job.error) for job in jobs if job.error))
