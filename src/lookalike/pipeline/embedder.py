"""Embed image files: child processes decode the next ones while the model embeds."""

import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from lookalike.core.errors import EmbeddingError, ImageError
from lookalike.core.threads import available_cores
from lookalike.core.vectors import FloatArray, check_embeddings
from lookalike.models.base import BatchModel, Model
from lookalike.models.lazy import LazyModel
from lookalike.models.preprocessing import Preprocessing
from lookalike.pipeline.decoder import Decoded, Decoder
from lookalike.pipeline.meter import Meter
from lookalike.pipeline.tasks import Channel, TaskGroup

T = TypeVar("T")

PLAIN_BATCH = 16
"""Batch size of a model without preprocessing, which takes whole images."""

MAX_BATCH_BYTES = 64_000_000
"""A batch with more bytes of pixels than this is embedded even if it is not full."""

BATCHES = 2
"""Batches embedded in parallel: threads that finish their part of one start the next."""

MAX_FAILED = 128
"""Pass failed files on when there are this many, without waiting for a full batch."""


@dataclass
class Job(Generic[T]):
    """A file in the pipeline: an item, its pixels, then its embedding (dim,) or an error."""

    item: T
    decoded: Decoded | None = None
    embedding: FloatArray | None = None
    error: ImageError | None = None


class Embedder(Generic[T]):
    """Embeds image files in batches, roughly in the order of decoding.

    model: loaded when there is a file to embed. source_of: returns an item's file, as path or
    bytes. batch_size: None for the model's best. time_limit: for decoding one file, in seconds.
    eager: embed available files instead of waiting for a full batch, if the caller waits for the
    answer.
    """

    look_ahead = 0
    """Items that it takes at once before it embeds the first."""

    def __init__(
        self,
        model: LazyModel,
        source_of: Callable[[T], Path | bytes],
        *,
        batch_size: int | None,
        time_limit: float,
        meter: Meter,
        eager: bool = False,
        max_batch_bytes: int = MAX_BATCH_BYTES,
        max_failed: int = MAX_FAILED,
    ) -> None:
        self._load_model = model
        self._loading = threading.Lock()
        self._batching = threading.Lock()
        self._models: tuple[Model, BatchModel | None] | None = None
        self._source_of = source_of
        self._batch_size = batch_size
        self._time_limit = time_limit
        self._meter = meter
        self._eager = eager
        self._max_batch_bytes = max_batch_bytes
        self._max_failed = max_failed
        self._n_decoders = available_cores()
        self._has_embedded = False

    def embed(self, group: TaskGroup, items: Channel[T]) -> Generator[list[Job[T]], None, None]:
        """Yield files with their embeddings or errors, batch by batch."""
        decoded: Channel[Job[T]] = group.channel(PLAIN_BATCH, producers=self._n_decoders)
        for _ in range(self._n_decoders):
            decoder = Decoder(self._preprocessing, time_limit=self._time_limit)
            group.at_stop(decoder.kill)
            group.start("decode", partial(self._decode, decoder, items, decoded))
        embedded: Channel[list[Job[T]]] = group.channel(1, producers=BATCHES)
        for _ in range(BATCHES):
            group.start("embed", partial(self._embed_batches, decoded, embedded))
        yield from embedded

    def _embed_batches(self, decoded: Channel[Job[T]], embedded: Channel[list[Job[T]]]) -> None:
        while True:
            with self._batching:
                jobs = self._next_batch(decoded)
                is_alone = not self._may_overlap
                if is_alone:
                    self._embed(jobs)
            if not jobs:
                break
            if not is_alone:
                self._embed(jobs)
            embedded.put(jobs)
        embedded.close()

    @property
    def _may_overlap(self) -> bool:
        """Whether batches may be embedded in parallel.

        Not before a first success: until then, a failure may be the model's fault. Not by a user's
        own model, which may not be thread-safe.
        """
        return self._has_embedded and self._model()[1] is not None

    def _next_batch(self, decoded: Channel[Job[T]]) -> list[Job[T]]:
        """Take the next files to embed together; none at the end."""
        jobs: list[Job[T]] = []
        sound: list[Decoded] = []
        for job in decoded:
            jobs.append(job)
            sound += [job.decoded] if job.decoded else []
            failed = len(jobs) - len(sound)
            is_due = failed >= self._max_failed or (self._eager and decoded.is_empty)
            if is_due or (sound and self._is_full(sound)):
                break
        return jobs

    def _is_full(self, sound: Sequence[Decoded]) -> bool:
        model = self._model()[1]
        best = model.batch_size if model else PLAIN_BATCH
        size = self._batch_size or best
        return len(sound) >= size or sum(d.pixels.nbytes for d in sound) > self._max_batch_bytes

    def _model(self) -> tuple[Model, BatchModel | None]:
        """Return the model, and again as BatchModel if it is one."""
        with self._loading:
            if self._models is None:
                model = self._load_model.get()
                # Check once, because isinstance with a protocol is slow.
                self._models = model, model if isinstance(model, BatchModel) else None
            return self._models

    def _preprocessing(self) -> Preprocessing | None:
        model = self._model()[1]
        return model.preprocessing if model else None

    def _decode(self, decoder: Decoder, items: Channel[T], decoded: Channel[Job[T]]) -> None:
        with closing(decoder):
            for item in items:
                job = Job(item)
                with self._meter.time("decode", 1, workers=self._n_decoders):
                    try:
                        job.decoded = decoder.decode(self._source_of(item))
                    except ImageError as error:
                        job.error = error
                decoded.put(job)
        decoded.close()

    def _embed(self, jobs: Sequence[Job[T]]) -> None:
        """Set the embedding or error of each job that has pixels."""
        sound = [job for job in jobs if job.decoded is not None]
        if not sound:
            return
        with self._meter.time_shared("embed", len(sound)):
            embeddings = self._run([job.decoded.pixels for job in sound if job.decoded])
        if len(embeddings) != len(sound):
            raise EmbeddingError(
                f"the model gives {len(embeddings)} embeddings of {len(sound)} images"
            )
        for job, embedding in zip(sound, embeddings, strict=True):
            try:
                job.embedding = check_embeddings(embedding, self._model()[0].dim)[0]
                self._has_embedded = True
            except EmbeddingError as error:
                job.error = ImageError(f"the model cannot embed it: {error}")
                # If no image was ever embedded, the model is at fault, not the image.
                if not self._has_embedded and job is sound[-1]:
                    raise

    def _run(self, pixels: Sequence[npt.NDArray[np.uint8]]) -> FloatArray:
        model, batch_model = self._model()
        if batch_model:
            return batch_model.embed_batch(np.stack(pixels))
        return model.embed_images([Image.fromarray(each) for each in pixels])
