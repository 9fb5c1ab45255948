"""What images look like: perceptual hashes and a thumbnail of each file, kept in the database."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from itertools import groupby
from pathlib import Path

import numpy as np
from PIL import Image

from lookalike.core.errors import ImageError
from lookalike.core.remote import located, on_disk
from lookalike.core.threads import available_cores
from lookalike.database.connection import Row
from lookalike.database.table import VectorTable
from lookalike.dialects import StoredThumbnail
from lookalike.duplicates.compare import SIDE
from lookalike.duplicates.phash import phashes
from lookalike.images.decode import image_size, open_image

Progress = Callable[[int, int | None], None]

_FILES = 256
_QUALITY = 90
_TURNS = (
    None,
    Image.Transpose.ROTATE_90,
    Image.Transpose.ROTATE_180,
    Image.Transpose.ROTATE_270,
    Image.Transpose.FLIP_LEFT_RIGHT,
    Image.Transpose.FLIP_TOP_BOTTOM,
    Image.Transpose.TRANSPOSE,
    Image.Transpose.TRANSVERSE,
)


def look_at(path: Path, content_hash: bytes) -> StoredThumbnail:
    """Return what the image in a file looks like. Raises ImageError."""
    thumbnail = open_image(path, short_side=SIDE).resize((SIDE, SIDE), Image.Resampling.LANCZOS)
    grey = thumbnail.convert("L")
    views = [grey if turn is None else grey.transpose(turn) for turn in _TURNS]
    hashes = np.packbits(phashes(views)).tobytes()
    file = BytesIO()
    thumbnail.save(file, "JPEG", quality=_QUALITY, subsampling=0)
    return StoredThumbnail(content_hash, *image_size(path), hashes, file.getvalue())


def make_missing_thumbnails(table: VectorTable, progress: Progress) -> int:
    """Store the thumbnails of files that have none; return how many cannot be made.

    Such are gone, have changed since they were added, or are damaged. progress: called with
    (files done, None).
    """
    connection, dialect = table.connection, table.dialect
    connection.execute(dialect.create_phashes(table))
    done = unseen = 0
    with ThreadPoolExecutor(available_cores(), thread_name_prefix="lookalike-look") as threads:
        for files in _without_thumbnail(table):
            made = [each for each in threads.map(_make_first, _by_content(files)) if each]
            if made:
                connection.execute_parts(made, lambda part: dialect.insert_thumbnails(table, part))
            seen = {each.content_hash for each in made}
            unseen += sum(content not in seen for _, _, content, _, _ in files)
            done += len(files)
            progress(done, None)
    if done > unseen:
        connection.execute(dialect.delete_stray_thumbnails(table))
    return unseen


def _without_thumbnail(table: VectorTable) -> Iterator[list[Row]]:
    after = 0
    while files := table.connection.query(
        table.dialect.files_without_thumbnail(table, after, _FILES)
    ):
        yield files
        after = files[-1][0]


def _by_content(files: Sequence[Row]) -> list[list[Row]]:
    def content(file: Row) -> bytes:
        return bytes(file[2])

    return [list(same) for _, same in groupby(sorted(files, key=content), key=content)]


def _make_first(files: Sequence[Row]) -> StoredThumbnail | None:
    """Make that of the first file that can be read, of files of the same bytes."""
    for _, path, content_hash, size, mtime_ns in files:
        try:
            with on_disk(located(path)) as file:
                status = file.stat()
                # Bytes that `add` has not seen may be another image, or a hostile one.
                if (status.st_size, status.st_mtime_ns) == (size, mtime_ns):
                    return look_at(file, content_hash)
        except (ImageError, OSError):
            continue
    return None
