"""Image files to embeddings: decoded by child processes while the model embeds the last ones."""

import threading
from collections.abc import Callable, Iterator, Sequence
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
"""The batch of a model without preprocessing, which is given whole images."""

MAX_BATCH_BYTES = 64_000_000
"""A batch with as many bytes of pixels is embedded, be it full or not."""

BATCHES = 2
"""So many are embedded side by side: threads that have done their part of one begin the next."""

MAX_FAILED = 128
"""As many files that have failed are passed on, without waiting for a full batch."""


@dataclass
class Job(Generic[T]):
    """A file on its way: an item, its pixels, and then its embedding (dim,) or an error."""

    item: T
    decoded: Decoded | None = None
    embedding: FloatArray | None = None
    error: ImageError | None = None


class Embedder(Generic[T]):
    """Embeds image files in batches, in about the order in which they are decoded.

    model: called when there is a file to embed. source_of: the file of an item, as its path or
    bytes. batch_size: None
    for the one that suits the model. time_limit: for decoding one file, in seconds. eager: embed
    what is there instead of waiting for a full batch, for those who wait for the answer.
    """

    def __init__(
        self,
        model: LazyModel,
        source_of: Callable[[T], Path | bytes],
        *,
        batch_size: int | None,
        time_limit: float,
        meter: Meter,
        eager: bool = False,
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
        self._n_decoders = available_cores()
        self._has_embedded = False

    def embed(self, group: TaskGroup, items: Channel[T]) -> Iterator[list[Job[T]]]:
        """Yield the files with their embeddings or errors, batch by batch."""
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
        """Whether batches may be embedded side by side.

        Not before anything is embedded: until then it is open whose the fault is. Nor by a model
        of the user's own, which may not be for several threads.
        """
        return self._has_embedded and self._model()[1] is not None

    def _next_batch(self, decoded: Channel[Job[T]]) -> list[Job[T]]:
        """Take the next files to embed together, none at the end."""
        jobs: list[Job[T]] = []
        sound: list[Decoded] = []
        for job in decoded:
            jobs.append(job)
            sound += [job.decoded] if job.decoded else []
            failed = len(jobs) - len(sound)
            is_due = failed >= MAX_FAILED or (self._eager and decoded.is_empty)
            if is_due or (sound and self._is_full(sound)):
                break
        return jobs

    def _is_full(self, sound: Sequence[Decoded]) -> bool:
        model = self._model()[1]
        best = model.batch_size if model else PLAIN_BATCH
        size = self._batch_size or best
        return len(sound) >= size or sum(d.pixels.nbytes for d in sound) > MAX_BATCH_BYTES

    def _model(self) -> tuple[Model, BatchModel | None]:
        """Return the model, and once more where it takes batches."""
        with self._loading:
            if self._models is None:
                model = self._load_model.get()
                # Asked once: to look for a protocol's methods takes a while.
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
        """Give each of the jobs that has pixels its embedding or an error."""
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
                # Where it has made none at all, the fault is the model's and not the image's.
                if not self._has_embedded and job is sound[-1]:
                    raise

    def _run(self, pixels: Sequence[npt.NDArray[np.uint8]]) -> FloatArray:
        model, batch_model = self._model()
        if batch_model:
            return batch_model.embed_batch(np.stack(pixels))
        return model.embed_images([Image.fromarray(each) for each in pixels])
