"""Ingest image files into one collection in parallel stages."""

import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from lookalike.add.content import Content, InFlight
from lookalike.add.scanner import Scan, Scanner
from lookalike.add.writer import Batch, Tally, Writer
from lookalike.core.arguments import check_int, check_number, wrong
from lookalike.core.cluster import RayCluster
from lookalike.core.errors import ConnectionFailed, InputError
from lookalike.core.progress import Progress
from lookalike.core.types import Failure
from lookalike.database.retry import RETRY_SECONDS, Persistence
from lookalike.dialects import FailedFile
from lookalike.images.walk import FoundImage, ImageWalk
from lookalike.index.store import IndexStore
from lookalike.models.lazy import LazyModel
from lookalike.pipeline.decoder import OutOfReach
from lookalike.pipeline.embedder import Embedder, Job
from lookalike.pipeline.limits import TIME_LIMIT_SECONDS
from lookalike.pipeline.meter import Meter
from lookalike.pipeline.ray.embedder import RayEmbedder
from lookalike.pipeline.tasks import Channel, TaskGroup

SCAN_FILES = 500
"""Number of files compared with the table at a time."""

WRITE_IMAGES, WRITE_SECONDS = 128, 2.0
"""A transaction holds this many images, or those embedded in this time."""


@dataclass(frozen=True)
class IngestOptions:
    """Options of `add`; raises InputError for a value out of range.

    Attributes:
        batch_size: Images per batch; None for the model's best.
        retry: Retry files that failed before and have not changed.
        time_limit: For decoding one file, in seconds.
        retry_timeout: How long to retry while the database does not answer, in seconds.
        facts: Read the facts of the files.
        location: Also their coordinates.
        scan_files: Number of files compared with the table at a time.
        write_images: A transaction holds at most about so many images.
        ray: Decode and embed on this cluster; None for this process and its children.
    """

    batch_size: int | None = None
    retry: bool = False
    time_limit: float = TIME_LIMIT_SECONDS
    retry_timeout: float = RETRY_SECONDS
    facts: bool = False
    location: bool = False
    scan_files: int = SCAN_FILES
    write_images: int = WRITE_IMAGES
    ray: RayCluster | None = None

    def __post_init__(self) -> None:
        if self.batch_size is not None:
            check_int("batch_size", self.batch_size)
        check_number("time_limit", self.time_limit)
        if self.batch_size is not None and self.batch_size < 1:
            raise InputError(f"batch_size is {self.batch_size}; give 1 or more")
        if not self.time_limit > 0:
            raise InputError(f"time_limit is {self.time_limit:g}; give more than 0 seconds")
        if not self.retry_timeout >= 0:
            raise InputError(f"retry_timeout is {self.retry_timeout:g}; give 0 seconds or more")
        if self.location and not self.facts:
            raise InputError("location is one of the facts: set facts, too")
        if self.ray is not None and not isinstance(self.ray, RayCluster):
            raise wrong("ray", self.ray, "a RayCluster")


class Ingest:
    """One run of files into one collection's table.

    model: loaded when there is an image to embed. notify: called with one line of important news.
    """

    def __init__(
        self,
        index: IndexStore,
        model: LazyModel,
        options: IngestOptions,
        *,
        notify: Callable[[str], None],
    ) -> None:
        self._index = index
        self._model = model
        self._options = options
        self._notify = notify
        self._in_flight = InFlight()
        self._meter = Meter()
        self._total: int | None = None
        self.tally = Tally()
        self.passed_over: Counter[str] = Counter()
        """Files that are no images but something like it, by suffix."""

    def run(self, walk: ImageWalk, progress: Progress) -> None:
        """Embed and store new and changed images; `tally` counts what is committed.

        Raises ConnectionFailed, with the number of committed images, if the database stays
        unreachable.
        """
        group = TaskGroup()
        writer = Writer(self._index, self._persistence(group), self.tally)
        try:
            with group:
                self._start(group, walk, writer, progress)
            writer.advance_tail()
        except ConnectionFailed as error:
            safe = self.tally.stored
            raise ConnectionFailed(
                f"{error} {safe:,} images of this run are stored; run the same command again for "
                "the rest",
                code=error.code,
            ) from error

    def rates(self) -> dict[str, float]:
        """Return each stage's images per second of its working time."""
        return self._meter.rates()

    def _start(
        self,
        group: TaskGroup,
        walk: ImageWalk,
        writer: Writer,
        progress: Progress,
    ) -> None:
        embedder = self._embedder()
        ahead = max(self._options.scan_files, embedder.look_ahead)
        to_embed: Channel[Content] = group.channel(ahead)
        to_write: Channel[Batch] = group.channel(4, producers=2)
        scanner = self._scanner(self._persistence(group), walk.folders)
        group.start("count", lambda: self._count(group, walk))
        group.start("scan", lambda: self._scan(scanner, walk, to_embed, to_write))
        group.start("write", lambda: self._write(writer, to_write, progress))
        # Closed before the group waits for its threads, so that what was started for it ends.
        with closing(embedder.embed(group, to_embed)) as results:
            self._gather(results, to_write)

    def _embedder(self) -> Embedder[Content] | RayEmbedder[Content]:
        options = self._options
        if options.ray is None:
            return Embedder(
                self._model,
                _path_of,
                batch_size=options.batch_size,
                time_limit=options.time_limit,
                meter=self._meter,
            )
        return RayEmbedder(
            self._model,
            _path_of,
            options.ray,
            batch_size=options.batch_size,
            time_limit=options.time_limit,
            meter=self._meter,
            notify=self._notify,
        )

    def _persistence(self, group: TaskGroup) -> Persistence:
        return Persistence(
            timeout=self._options.retry_timeout, stop=group.stop, notify=self._notify
        )

    def _count(self, group: TaskGroup, walk: ImageWalk) -> None:
        total = 0
        for _ in walk.walk():
            group.check()
            total += 1
        self._total = total

    def _scanner(self, persistence: Persistence, folders: Sequence[Path]) -> Scanner:
        connection = self._index.table.connection
        return Scanner(
            lambda items, make: persistence.run(lambda: connection.query_parts(items, make)),
            self._index.table,
            self._in_flight,
            folders=folders,
            retry=self._options.retry,
        )

    def _scan(
        self,
        scanner: Scanner,
        walk: ImageWalk,
        to_embed: Channel[Content],
        to_write: Channel[Batch],
    ) -> None:
        for batch in batches(walk.walk(self.passed_over), self._options.scan_files):
            files = [found for found in batch if isinstance(found, FoundImage)]
            with self._meter.time("scan", len(files)):
                scan = scanner.scan(files)
            folders = [failure for failure in batch if isinstance(failure, Failure)]
            self._pass_on(scan, folders, to_embed, to_write)
        self._pass_on(scanner.finish(), [], to_embed, to_write)
        to_embed.close()
        to_write.close()

    def _pass_on(
        self,
        scan: Scan,
        folders: list[Failure],
        to_embed: Channel[Content],
        to_write: Channel[Batch],
    ) -> None:
        to_write.put(_known(scan, folders))
        for content in scan.new:
            if content.embedding is None:
                to_embed.put(content)

    def _gather(self, results: Iterator[list[Job[Content]]], to_write: Channel[Batch]) -> None:
        """Pass embedded files on to the writer, in batches of its size."""
        batch, since = Batch(), time.monotonic()
        for jobs in results:
            for job in jobs:
                reason, is_final = _problem(job)
                self._in_flight.land(job.item, None if reason else job.embedding)
                _put(job.item, reason, is_final, batch)
            late = time.monotonic() - since > WRITE_SECONDS
            if late or len(batch.contents) + len(batch.failed) >= self._options.write_images:
                to_write.put(batch)
                batch, since = Batch(), time.monotonic()
        to_write.put(batch)
        to_write.close()

    def _write(self, writer: Writer, to_write: Channel[Batch], progress: Progress) -> None:
        progress(0, self._total)
        for batch in to_write:
            with self._meter.time("write", sum(len(each.files) for each in batch.contents)):
                writer.write(batch)
            self._in_flight.forget(batch.contents)
            progress(self.tally.seen, self._total)


def _path_of(content: Content) -> Path:
    return content.files[0].file.path


def _known(scan: Scan, folders: list[Failure]) -> Batch:
    """Return a batch of the files that need no embedding."""
    return Batch(
        contents=[content for content in scan.new if content.embedding is not None],
        touched=scan.touched,
        failed=scan.failed,
        failed_before=scan.failed_before,
        unreadable=folders + scan.unreadable,
        unchanged=scan.unchanged,
    )


def _problem(job: Job[Content]) -> tuple[str, bool]:
    """Return (error, whether it is final) of a file; error is "" if it was embedded."""
    first, decoded = job.item.files[0].file, job.decoded
    if decoded and (decoded.size, decoded.mtime_ns) != (first.size, first.mtime_ns):
        return "it changed while it was being read; add it again", False
    return str(job.error) if job.error else "", not isinstance(job.error, OutOfReach)


def _put(content: Content, reason: str, is_final: bool, batch: Batch) -> None:
    """Add a content to a batch; if there is a reason, add its files as failures."""
    if not reason:
        batch.contents.append(content)
        return
    for new in content.files:
        stamp = (new.file.size, new.file.mtime_ns) if is_final else (None, None)
        batch.failed.append(FailedFile(str(new.file.path), reason, *stamp))


def batches(
    found: Iterator[FoundImage | Failure], largest: int = SCAN_FILES
) -> Iterator[list[FoundImage | Failure]]:
    """Yield batches of growing size, so that the first images start soon."""
    size = 16
    while batch := list(itertools.islice(found, size)):
        yield batch
        size = min(2 * size, largest)
