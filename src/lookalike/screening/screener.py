"""Screening: check whether images resemble any image of a collection, such as a blocklist."""

import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

from PIL import Image as Pillow

from lookalike.core.errors import ImageError, InputError
from lookalike.core.paths import expand_user
from lookalike.core.remote import is_bucket, is_remote
from lookalike.core.types import Failure, Match, Screening
from lookalike.core.vectors import FloatArray
from lookalike.database.retry import Persistence
from lookalike.images.addresses import is_url
from lookalike.images.decode import to_rgb
from lookalike.images.download import download
from lookalike.images.walk import FoundImage, ImageWalk
from lookalike.index.holding import HeldIndex
from lookalike.index.rows import with_paths
from lookalike.index.store import IndexStore
from lookalike.models.lazy import LazyModel
from lookalike.pipeline.embedder import Embedder, Job
from lookalike.pipeline.limits import TIME_LIMIT_SECONDS
from lookalike.pipeline.meter import Meter
from lookalike.pipeline.tasks import Channel, TaskGroup
from lookalike.search.options import Asked, SearchOptions
from lookalike.search.stream import StreamSearcher

LOOK_AHEAD = 128
MAX_IN_MEMORY = 2**20
"""Uploads up to this many bytes stay in memory; larger ones go to an unnamed file."""


@dataclass
class _Upload:
    """An image to screen: its number in the order, and its file or error."""

    number: int
    image: Any
    file: Path | IO[bytes] | None
    error: ImageError | None = None

    def source(self) -> Path | bytes:
        """Return the file's path, or its bytes and release them."""
        assert self.file is not None
        if isinstance(self.file, Path):
            return self.file
        with self.file as file:
            file.seek(0)
            return file.read()

    def close(self) -> None:
        """Close and release the file."""
        if self.file is not None and not isinstance(self.file, Path):
            self.file.close()


class Screener:
    """Screens images against one collection.

    min_similarity: the lowest similarity of a match. held: its index in memory, if it is held.
    index_memory: the most memory that a long stream takes for the index, in bytes.
    """

    def __init__(
        self,
        store: IndexStore,
        model: LazyModel,
        *,
        min_similarity: float | None,
        k: int,
        time_limit: float = TIME_LIMIT_SECONDS,
        allow_private: bool = False,
        look_ahead: int = LOOK_AHEAD,
        held: HeldIndex | None = None,
        index_memory: int | None = None,
        notify: Callable[[str], None],
    ) -> None:
        self._table = store.table
        self._new_searcher = partial(StreamSearcher, store, held, limit=index_memory, notify=notify)
        self._persistence = Persistence(notify=notify)
        self._model = model
        self._options = SearchOptions(k=k, min_similarity=min_similarity)
        self._options.check(store.table.metric)
        self._time_limit = time_limit
        self._allow_private = allow_private
        self._look_ahead = look_ahead

    def screen(self, images: Iterable[Any]) -> Iterator[Screening]:
        """Screen images; yield one Screening each, in their order, as soon as it is known.

        images: paths, http(s) URLs, the bytes of files, PIL images, and Failures of `walked`.
        """
        with closing(self._new_searcher()) as searcher:
            for image, outcome in self.embed(images):
                if isinstance(outcome, ImageError):
                    yield Screening(image, (), str(outcome))
                else:
                    # An open stream can outlast the server's timeout for idle connections.
                    search = partial(self._search, searcher, outcome)
                    matches = self._persistence.run(partial(self._table.connection.read, search))
                    yield Screening(image, tuple(matches), None)

    def _search(self, searcher: StreamSearcher, embedding: FloatArray) -> list[Match]:
        found = searcher.search(Asked(embedding, self._options))
        return found.matches if found.has_paths else with_paths(self._table, found.matches)

    def best_similarities(self, images: Iterable[Any]) -> Iterator[float]:
        """Yield each image's similarity to the most similar stored image.

        Raises ImageError for an unreadable image, and InputError if nothing is stored.
        """
        for screening in self.screen(images):
            if screening.error is not None:
                raise ImageError(f"{screening.image}: {screening.error}")
            if not screening.matches:
                raise InputError("the collection is empty: lookalike add FOLDER --collection NAME")
            yield screening.matches[0].similarity

    def embed(self, images: Iterable[Any]) -> Iterator[tuple[Any, FloatArray | ImageError]]:
        """Yield each image with its embedding, shape (dim,), or an error, in order."""
        embedder = Embedder[_Upload](
            self._model,
            _Upload.source,
            batch_size=None,
            time_limit=self._time_limit,
            meter=Meter(),
            eager=True,
        )
        kept: dict[int, _Upload] = {}
        try:
            with TaskGroup() as group:
                # Bounded, so that one slow image delays a limited number of others.
                order: Channel[_Upload] = group.channel(self._look_ahead)
                uploads: Channel[_Upload] = group.channel(self._look_ahead)

                def take() -> None:
                    for number, image in enumerate(images):
                        with _closed_if_stopped(self._upload(number, image)) as upload:
                            kept[number] = upload
                            order.put(upload)
                            if upload.error is None:
                                uploads.put(upload)
                    order.close()
                    uploads.close()

                # The caller's iterable may block for long, so do not wait for this thread on
                # Ctrl-C.
                group.start("take", take, may_stay=True)
                for upload, outcome in _in_order(order, embedder.embed(group, uploads)):
                    kept.pop(upload.number).close()
                    yield upload.image, outcome
        finally:
            for upload in list(kept.values()):
                upload.close()

    def _upload(self, number: int, image: Any) -> _Upload:
        """Convert an image to a file or bytes, which child processes decode."""
        if isinstance(image, Failure):
            return _Upload(number, image.path, None, ImageError(image.reason))
        try:
            if isinstance(image, Path) or (isinstance(image, str) and not is_url(image)):
                return _Upload(number, image, _path(image))
            if not isinstance(image, Pillow.Image | bytes | str):
                raise InputError(
                    f"a {type(image).__name__} is not an image; give a path, a URL, bytes or a "
                    "PIL image"
                )
            return _Upload(number, image, self._spooled(image))
        except ImageError as error:
            return _Upload(number, image, None, error)

    def _spooled(self, image: Pillow.Image | bytes | str) -> IO[bytes]:
        """Return an image's bytes as an unnamed file, which leaves nothing behind."""
        content = (
            download(image, allow_private=self._allow_private) if isinstance(image, str) else image
        )
        file = tempfile.SpooledTemporaryFile(max_size=MAX_IN_MEMORY)  # noqa: SIM115
        try:
            if isinstance(content, bytes):
                file.write(content)
            else:
                to_rgb(content).save(file, "BMP")
        except BaseException as error:
            file.close()
            if isinstance(error, OSError):
                raise ImageError(f"it cannot be read: {error.strerror or error}") from error
            raise
        return file


def _path(image: str | Path) -> Path:
    try:
        return expand_user(image).absolute()
    except InputError as error:
        raise ImageError(str(error)) from error


@contextmanager
def _closed_if_stopped(upload: _Upload) -> Iterator[_Upload]:
    try:
        yield upload
    except BaseException:
        upload.close()
        raise


def expanded(images: Iterable[Any]) -> Iterator[Any]:
    """Yield images, with folders and globs replaced by their images. Raises InputError."""
    for image in images:
        if isinstance(image, str | Path) and not is_url(str(image)):
            yield from (found.path for found in ImageWalk([image]))
        else:
            yield image


def walked(
    images: Iterable[Any], *, folders: bool, exclude: Sequence[str], hidden: bool
) -> Iterable[Any]:
    """Return images, with folders and globs replaced by their images and unreadable folders.

    The latter are Failures, as is a folder without images. folders: whether to replace any. Raises
    InputError for an invalid pattern, or for one without `folders`.
    """
    if not folders:
        if exclude or hidden:
            raise InputError("exclude and hidden have no meaning without folders=True")
        return images
    ImageWalk([], exclude=exclude)
    return _walked(images, exclude=exclude, hidden=hidden)


def _walked(images: Iterable[Any], *, exclude: Sequence[str], hidden: bool) -> Iterator[Any]:
    for image in images:
        # URLs of screened images may be anybody's: servers are asked by the guarded download alone.
        is_elsewhere = is_remote(image) and not is_bucket(image)
        if not isinstance(image, str | Path) or is_elsewhere:
            yield image
            continue
        try:
            walk = ImageWalk([image], exclude=exclude, hidden=hidden)
        except InputError:  # there is none: to be told in its place
            yield image
            continue
        if expand_user(image).is_file():
            yield image  # under the name that was given
            continue
        is_empty = True
        for found in walk.walk():
            is_empty = False
            yield found.path if isinstance(found, FoundImage) else found
        if is_empty:
            yield Failure(Path(image), "no images in it")


def _in_order(
    order: Iterable[_Upload], batches: Iterator[list[Job[_Upload]]]
) -> Iterator[tuple[_Upload, FloatArray | ImageError]]:
    done: dict[int, Job[_Upload]] = {}
    for upload in order:
        if upload.error is not None:
            yield upload, upload.error
            continue
        while upload.number not in done:
            done |= {job.item.number: job for job in next(batches)}
        job = done.pop(upload.number)
        if job.embedding is not None:
            yield upload, job.embedding
        else:
            yield upload, job.error or ImageError("not decoded")
