"""Embed image files on a Ray cluster: the driver's side of it."""

from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np

import lookalike
from lookalike.core.cluster import RayCluster
from lookalike.core.errors import EmbeddingError, ImageError, InputError, LookalikeError
from lookalike.models.base import BatchModel, Model
from lookalike.models.lazy import LazyModel
from lookalike.pipeline.decoder import Decoded, OutOfReach
from lookalike.pipeline.embedder import Job
from lookalike.pipeline.meter import Meter
from lookalike.pipeline.ray import workers
from lookalike.pipeline.ray.session import RaySession, check_installed
from lookalike.pipeline.tasks import Channel, TaskGroup

T = TypeVar("T")

WINDOW = 100_000
"""Files handed to Ray at once."""

WINDOW_SECONDS = 20.0
"""A window ends this long after its first file: its workers load the model anew."""

BLOCK = 64
"""Files of one task."""

TRIES = 3
"""How often a file is handed to Ray that comes back neither embedded nor failed."""

_NO_PIXELS = np.empty((0, 0, 3), np.uint8)


def check(model: Model | str | None) -> None:
    """Check, before anything is started, that Ray is there and that workers can load a model.

    Raises MissingExtra, and InputError for a model that a program has made itself.
    """
    check_installed()
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
        with RaySession(self._cluster, self._notify):
            while window:
                with self._meter.time("ray", len(window)):
                    yield from self._embed(group, window)
                window = items.take(WINDOW, WINDOW_SECONDS)

    def _embed(self, group: TaskGroup, window: list[T]) -> Iterator[list[Job[T]]]:
        from ray.exceptions import RayError, RayTaskError

        pending = dict(enumerate(window))
        lost = "no worker answered"
        for _ in range(TRIES):
            try:
                for table in self._tables(pending):
                    group.check()
                    yield self._jobs(table, pending)
            except RayTaskError as error:  # of code, not of a machine: it would fail again
                raise LookalikeError(f"a worker of Ray failed: {_line(error)}") from error
            except RayError as error:
                lost = _line(error)
            if not pending:
                return
        yield [Job(item, error=OutOfReach(f"lost by Ray: {lost}")) for item in pending.values()]

    def _tables(self, pending: dict[int, T]) -> Iterator[Any]:
        """Yield tables of rows as the workers return them."""
        import ray.data

        model = self._load_model.get()
        preprocessing = model.preprocessing if isinstance(model, BatchModel) else None
        rows = [
            {"number": number, "path": str(self._path_of(item))} for number, item in pending.items()
        ]
        least, most = self._cluster.workers
        files = ray.data.from_items(rows, override_num_blocks=-(-len(rows) // BLOCK))
        decoded = files.map_batches(
            workers.decode,
            fn_args=(workers.DecodeOptions(preprocessing, self._time_limit),),
            batch_size=None,
            batch_format="pyarrow",
            num_cpus=1,
        )
        options = workers.ModelOptions(model.id, model.dim, lookalike.__version__, self._batch_size)
        embedded = decoded.map_batches(
            workers.EmbeddingActor,
            fn_constructor_args=(options,),
            compute=ray.data.ActorPoolStrategy(min_size=least, max_size=most),
            batch_size=None,
            batch_format="pyarrow",
            num_cpus=1,
            num_gpus=self._cluster.gpus_per_worker,
            # With it, Ray does not merge it with decoding, which would then wait for it.
            ray_remote_args_fn=dict,
        )
        yield from embedded.iter_batches(batch_size=None, batch_format="pyarrow")

    def _jobs(self, table: Any, pending: dict[int, T]) -> list[Job[T]]:
        """Return a table's rows as jobs, and take them off the pending ones."""
        jobs = []
        for row in table.to_pylist():
            number, outcome, reason = row["number"], row["outcome"], row["reason"]
            if outcome == workers.FATAL:
                raise LookalikeError(reason)
            if number not in pending:  # a row of a task that ran twice
                continue
            job = Job(pending.pop(number))
            jobs.append(job)
            if outcome in (workers.SOUND, workers.NOT_EMBEDDED):
                job.decoded = Decoded(_NO_PIXELS, row["size"], row["mtime_ns"])
            if outcome == workers.SOUND:
                job.embedding = np.frombuffer(row["embedding"], np.float32)
            else:
                job.error = (
                    OutOfReach(reason) if outcome == workers.OUT_OF_REACH else ImageError(reason)
                )
        self._check_model(table["outcome"].to_pylist(), jobs)
        return jobs

    def _check_model(self, outcomes: list[int], jobs: list[Job[T]]) -> None:
        """Raise EmbeddingError if the model embeds nothing: then it is at fault, not the images."""
        self._has_embedded |= workers.SOUND in outcomes
        if not self._has_embedded and workers.NOT_EMBEDDED in outcomes:
            raise EmbeddingError(next(str(job.error) for job in jobs if job.error))


def _line(error: BaseException) -> str:
    """Return the last line of an error, which tells it; those before are the stack."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[-1] if lines else type(error).__name__
