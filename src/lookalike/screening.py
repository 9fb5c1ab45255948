"""Screening: does an image resemble anything in a collection, such as a list of prohibited ones?"""

import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from PIL import Image as Pillow

from lookalike.download import download, is_url
from lookalike.errors import DatabaseError, ImageError, InputError
from lookalike.images import to_rgb
from lookalike.index_store import NO_SUCH_TABLE, IndexStore
from lookalike.ingest.crew import Channel, Crew
from lookalike.ingest.embedder import Embedder, Job
from lookalike.ingest.work import Meter
from lookalike.models import Model
from lookalike.paths import expand_user
from lookalike.retry import Persistence
from lookalike.search import Searcher, Trace
from lookalike.search_options import SearchOptions
from lookalike.types import Metric, Screening
from lookalike.vectors import FloatArray
from lookalike.walk import ImageWalk

DEFAULT_MIN_SIMILARITY = {"efficientnet-lite2": 0.7}
"""Above it two images are mostly the same picture, cropped, mirrored or darker."""

OTHER_MIN_SIMILARITY = 0.92
LOOK_AHEAD = 128


@dataclass
class _Upload:
    """An image to screen: its place in the order, and its file or why there is none."""

    number: int
    image: Any
    path: Path
    error: ImageError | None = None


class Screener:
    """Screens images against one collection; min_similarity: from where on it is a match."""

    def __init__(
        self,
        index: IndexStore,
        model: Callable[[], Model],
        *,
        min_similarity: float | None,
        k: int,
        time_limit: float,
        allow_private: bool,
        notify: Callable[[str], None],
    ) -> None:
        self._searcher = Searcher(index)
        self._persistence = Persistence(index.connection, notify=notify)
        self._model = model
        self._options = SearchOptions(k=k, min_similarity=min_similarity)
        self._options.check(index.metric)
        self._time_limit = time_limit
        self._allow_private = allow_private

    def screen(self, images: Iterable[Any]) -> Iterator[Screening]:
        """Yield what each image has come to, in their order, as soon as it is known.

        images: paths, http(s) URLs, the bytes of files, and PIL images.
        """
        for image, outcome in self.embed(images):
            if isinstance(outcome, ImageError):
                yield Screening(image, (), str(outcome))
            else:
                # One that is kept open outlives the server's patience with idle connections.
                search = partial(self._searcher.search, outcome, self._options, Trace())
                yield Screening(image, tuple(self._persistence.run(search)[1]), None)

    def best_similarities(self, images: Iterable[Any]) -> Iterator[float]:
        """Yield how similar the most similar stored image is to each image.

        Raises ImageError for one that cannot be judged, InputError where nothing is stored.
        """
        for screening in self.screen(images):
            if screening.error is not None:
                raise ImageError(f"{screening.image}: {screening.error}")
            if not screening.matches:
                raise InputError("the collection is empty: lookalike add FOLDER --collection NAME")
            yield screening.matches[0].similarity

    def embed(self, images: Iterable[Any]) -> Iterator[tuple[Any, FloatArray | ImageError]]:
        """Yield each image with its embedding, shape (dim,), or why there is none, in order."""
        embedder = Embedder[_Upload](
            self._model,
            lambda upload: upload.path,
            batch_size=None,
            time_limit=self._time_limit,
            meter=Meter(),
            eager=True,
        )
        folder = Path(tempfile.mkdtemp(prefix="lookalike-"))
        try:
            with Crew() as crew:
                # All that is on its way, so that one slow image holds up a bounded number.
                order: Channel[_Upload] = crew.channel(LOOK_AHEAD)
                uploads: Channel[_Upload] = crew.channel(LOOK_AHEAD)

                def take() -> None:
                    for number, image in enumerate(images):
                        upload = self._upload(number, image, folder)
                        order.put(upload)
                        uploads.put(upload)
                    order.close()
                    uploads.close()

                # Whoever gives the images may take their time, also while this is interrupted.
                crew.start("take", take, may_stay=True)
                yield from _in_order(order, embedder.embed(crew, uploads), folder)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _upload(self, number: int, image: Any, folder: Path) -> _Upload:
        """Have an image as a file, since files are decoded in processes of their own."""
        if isinstance(image, Path) or (isinstance(image, str) and not is_url(image)):
            try:
                return _Upload(number, image, expand_user(image).absolute())
            except InputError as error:
                return _Upload(number, image, folder, ImageError(str(error)))
        path = folder / str(number)
        try:
            if isinstance(image, Pillow.Image):
                to_rgb(image).save(path, "BMP")
            elif isinstance(image, bytes):
                path.write_bytes(image)
            elif isinstance(image, str):
                path.write_bytes(download(image, allow_private=self._allow_private))
            else:
                raise InputError(f"a {type(image).__name__} is no image to screen")
        except ImageError as error:
            return _Upload(number, image, path, error)
        return _Upload(number, image, path)


def expanded(images: Iterable[Any]) -> Iterator[Any]:
    """Yield images with those of folders and globs in their places. Raises InputError."""
    for image in images:
        if isinstance(image, str | Path) and not is_url(str(image)):
            yield from (found.path for found in ImageWalk([image]))
        else:
            yield image


def _in_order(
    order: Iterable[_Upload], batches: Iterator[list[Job[_Upload]]], folder: Path
) -> Iterator[tuple[Any, FloatArray | ImageError]]:
    done: dict[int, Job[_Upload]] = {}
    for upload in order:
        while upload.number not in done:
            done |= {job.item.number: job for job in next(batches)}
        job = done.pop(upload.number)
        if upload.path.parent == folder:
            upload.path.unlink(missing_ok=True)
        if job.embedding is not None:
            yield upload.image, job.embedding
        else:
            yield upload.image, upload.error or job.error or ImageError("not decoded")


def default_min_similarity(model_id: str | None, metric: Metric) -> float:
    """Return from where on an image is a match where nothing else is known.

    Raises InputError for another metric than cosine, whose values mean something else everywhere.
    """
    if metric != "cosine":
        raise InputError(
            f"for the metric {metric} there is no usual min_similarity: give one, or store one "
            "with lookalike calibrate --store"
        )
    return DEFAULT_MIN_SIMILARITY.get(model_id or "", OTHER_MIN_SIMILARITY)


def stored_min_similarity(index: IndexStore) -> float | None:
    """Return the threshold that is stored with a collection, None where there is none."""
    try:
        found = index.connection.value(index.dialect.threshold(index.table))
    except DatabaseError as error:
        # One that cannot be read must not be taken for none: it may be the stricter one.
        if error.code != NO_SUCH_TABLE:
            raise
        return None
    return None if found is None else float(found)


def store_min_similarity(index: IndexStore, min_similarity: float) -> None:
    """Store the threshold of a collection. Raises InputError for one that no image can reach."""
    SearchOptions(min_similarity=min_similarity).check(index.metric)
    for statement in (*index.dialect.create_schema(), index.dialect.create_thresholds()):
        index.connection.execute(statement)
    index.connection.execute(index.dialect.store_threshold(index.table, min_similarity))
