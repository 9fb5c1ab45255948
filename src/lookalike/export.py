"""Embeddings as a .sql file: the article's table and INSERTs, for any mysql client."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from lookalike.dialects import literal, quote_name
from lookalike.errors import ImageError, InputError
from lookalike.images import FoundImage, find_images, open_image
from lookalike.ingest import Progress, stored_name
from lookalike.models import Model, load_model
from lookalike.types import AddReport, Failure
from lookalike.vectors import FloatArray, check_embeddings, pack

_BATCH = 16

_HEADER = """\
-- Image embeddings by lookalike, model {model}. Load with: mysql DATABASE < FILE.sql
SET NAMES utf8mb4;
SET @old_sql_mode = @@sql_mode, sql_mode = 'STRICT_ALL_TABLES';

CREATE TABLE IF NOT EXISTS {table} (
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
    file: str | os.PathLike[str],
    table: str = "image_embeddings",
    model: str | Model = "auto",
    progress: Progress = lambda done, total: None,
    notify: Callable[[str], None] = lambda line: None,
) -> AddReport:
    """Write the embeddings of images to a .sql file, without any database.

    The file holds the article's CREATE TABLE and INSERTs, with every float32 written so that it
    is read back bit for bit; it appears when it is complete. Files that cannot be read are
    reported and skipped. notify: told which model "auto" has chosen. Raises InputError where
    there is no image or the file cannot be written.
    """
    started = time.perf_counter()
    images = list(find_images(paths))
    if not images:
        raise InputError(f"no images in {', '.join(map(str, paths))}")
    failed: list[Failure] = []
    target = Path(file)
    partial = target.with_name(target.name + ".partial")
    progress(0, len(images))
    try:
        with partial.open("w", encoding="utf-8", newline="\n") as out:
            loaded = load_model(model, notify=notify) if isinstance(model, str) else model
            out.write(_HEADER.format(model=loaded.id, table=quote_name(table), dim=loaded.dim))
            for done in range(0, len(images), _BATCH):
                batch = images[done : done + _BATCH]
                out.writelines(_inserts(table, batch, loaded, failed))
                progress(done + len(batch), len(images))
            out.write(_FOOTER)
        partial.replace(target)
    except OSError as error:
        raise InputError(f"cannot write {target}: {error.strerror}") from error
    finally:
        partial.unlink(missing_ok=True)
    added = len(images) - len(failed)
    return AddReport(added, 0, 0, tuple(failed), time.perf_counter() - started)


def _inserts(
    table: str, batch: Sequence[FoundImage], model: Model, failed: list[Failure]
) -> Iterator[str]:
    names: list[str] = []
    pixels: list[Image.Image] = []
    for found in batch:
        try:
            pixels.append(open_image(found.path))
            names.append(stored_name(found.name))
        except ImageError as error:
            failed.append(Failure(found.path, str(error)))
    embeddings = check_embeddings(model.embed_images(pixels), model.dim) if pixels else ()
    for name, embedding in zip(names, embeddings, strict=True):
        yield (
            f"INSERT INTO {quote_name(table)} (image_name, embedding) "  # noqa: S608
            f"VALUES ({literal(name)}, {vector_literal(embedding)});\n"
        )


def vector_literal(embedding: FloatArray) -> str:
    """Return SQL whose value is this embedding, shape (dim,), bit for bit.

    Nine significant digits tell any two float32 apart (IEEE 754-2019, 5.12.2). Numbers below
    the normal range are refused by STRING_TO_VECTOR, so a vector with one is written in hex.
    """
    sizes = np.abs(embedding)
    if ((sizes > 0) & (sizes < np.finfo(np.float32).tiny)).any():
        return literal(pack(embedding))
    numbers = ",".join(f"{number:.9g}" for number in embedding.tolist())
    return f"STRING_TO_VECTOR('[{numbers}]')"
