"""Export embeddings as a .sql file: the article's table and INSERTs, for any mysql client."""

import os
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TextIO

import numpy as np

from lookalike.core.output_files import SQL_FILE, written_file
from lookalike.core.paths import expand_user
from lookalike.core.progress import Progress
from lookalike.core.reports import AddReport
from lookalike.core.types import Failure
from lookalike.core.vectors import FloatArray, pack
from lookalike.dialects import is_utf8, literal, quote_name
from lookalike.images.walk import FoundImage, ImageWalk, raw_remedy
from lookalike.index.rows import stored_name
from lookalike.models.base import Model
from lookalike.models.lazy import LazyModel
from lookalike.models.registry import load_model
from lookalike.pipeline.embedder import Embedder, Job
from lookalike.pipeline.limits import TIME_LIMIT_SECONDS
from lookalike.pipeline.meter import Meter
from lookalike.pipeline.tasks import Channel, TaskGroup

_LOOK_AHEAD = 64

_HEADER = """\
-- Image embeddings by lookalike, model {model}. Load with: mysql DATABASE < FILE.sql
-- Where the table exists, loading stops before it changes anything: load a file once, and give
-- each file a table of its own with --collection.
SET NAMES utf8mb4;
SET @old_sql_mode = @@sql_mode, sql_mode = 'STRICT_ALL_TABLES';

CREATE TABLE {table} (
    id INT PRIMARY KEY AUTO_INCREMENT,
    image_name VARCHAR(255),
    embedding VECTOR({dim})
);

START TRANSACTION;
"""
_FOOTER = """\
COMMIT;
SET sql_mode = @old_sql_mode;
"""


def export_sql(
    *paths: str | os.PathLike[str],
    file: str | os.PathLike[str] | TextIO,
    table: str = "image_embeddings",
    model: str | Model = "auto",
    force: bool = False,
    progress: Progress = lambda done, total: None,
    notify: Callable[[str], None] = lambda line: None,
) -> AddReport:
    """Write the embeddings of images to a .sql file, without any database.

    The file contains the article's CREATE TABLE and INSERTs; every float32 reads back bit for bit.
    It appears when it is complete. Unreadable files are reported and skipped.

    Args:
        paths: Files, folders and globs.
        file: A name that ends in .sql, or an open text file.
        table: Name of the table.
        model: A model or its name.
        force: Replace the file even if lookalike did not write it.
        progress: Called with (files done, files in all).
        notify: Called with one line about which model "auto" chose.

    Raises:
        InputError: There is no image, or the file cannot be written.
    """
    started = time.perf_counter()
    exported = 0
    meter = Meter()
    with _opened(file, force) as out:
        walk = ImageWalk(paths)
        passed_over: Counter[str] = Counter()
        total, failed = _look_through(walk, passed_over)
        progress(done := 0, total)
        loaded = load_model(model, notify=notify) if isinstance(model, str) else model
        out.write(_HEADER.format(model=loaded.id, table=quote_name(table), dim=loaded.dim))
        for jobs in _embedded(walk, loaded, meter):
            inserts = list(_inserts(table, jobs, failed))
            out.writelines(inserts)
            exported += len(inserts)
            progress(done := done + len(jobs), total)
        out.write(_FOOTER)
    return AddReport(
        added=exported,
        updated=0,
        reused=0,
        unchanged=0,
        removed=0,
        failed=tuple(failed),
        failed_before=(),
        seconds=time.perf_counter() - started,
        stages=meter.rates(),
        passed_over=dict(passed_over),
        raw_remedy=raw_remedy(passed_over),
    )


def _look_through(walk: ImageWalk, passed_over: Counter[str]) -> tuple[int, list[Failure]]:
    """Return the number of images, and the folders that cannot be read; count what is alike."""
    total, failed = 0, []
    for found in walk.walk(passed_over):
        if isinstance(found, Failure):
            failed.append(found)
        else:
            total += 1
    if not total:
        walk.check()
    return total, failed


@contextmanager
def _opened(file: str | os.PathLike[str] | TextIO, force: bool) -> Iterator[TextIO]:
    if isinstance(file, str | os.PathLike):
        with written_file(expand_user(file), SQL_FILE, force=force) as out:
            yield out
    else:
        yield file
        file.flush()


def _embedded(walk: ImageWalk, model: Model, meter: Meter) -> Iterator[list[Job[FoundImage]]]:
    embedder = Embedder[FoundImage](
        LazyModel.of(model),
        lambda found: found.path,
        batch_size=None,
        time_limit=TIME_LIMIT_SECONDS,
        meter=meter,
    )
    with TaskGroup() as group:
        files: Channel[FoundImage] = group.channel(_LOOK_AHEAD)

        def find() -> None:
            for found in walk:
                files.put(found)
            files.close()

        group.start("find", find)
        yield from embedder.embed(group, files)


def _inserts(table: str, jobs: Sequence[Job[FoundImage]], failed: list[Failure]) -> Iterator[str]:
    for job in jobs:
        if job.embedding is None:
            failed.append(Failure(job.item.path, str(job.error)))
            continue
        if not is_utf8(job.item.name):
            failed.append(Failure(job.item.path, "the file's name is not UTF-8; rename the file"))
            continue
        name = literal(stored_name(job.item.name))
        yield (
            f"INSERT INTO {quote_name(table)} (image_name, embedding) "  # noqa: S608
            f"VALUES ({name}, {vector_literal(job.embedding)});\n"
        )


def vector_literal(embedding: FloatArray) -> str:
    """Return SQL whose value is this embedding, shape (dim,), bit for bit.

    Nine significant digits distinguish any two float32 (IEEE 754-2019, 5.12.2).
    STRING_TO_VECTOR refuses subnormal numbers, so a vector with one is written in hex.
    """
    sizes = np.abs(embedding)
    if ((sizes > 0) & (sizes < np.finfo(np.float32).tiny)).any():
        return literal(pack(embedding))
    numbers = ",".join(f"{number:.9g}" for number in embedding.tolist())
    return f"STRING_TO_VECTOR('[{numbers}]')"
