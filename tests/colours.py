"""Images of one colour each, a model that sees the colour, and what is stored held against both."""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from lookalike import AddReport, Collection, Database, IndexSizes
from lookalike.add.ingest import IngestOptions
from lookalike.collection import adding
from lookalike.images.walk import ImageWalk

TABLE = "colours"
FEW = IndexSizes(fewest_rows=4)
"""There are few images: they are indexed all the same."""


class Colours:
    """A model that embeds an image as its mean colour (plus 1), and counts the images.

    meanwhile: called before each batch; what happens there happens in the midst of a run.
    """

    id, dim, has_text = "mean-colour", 3, False

    def __init__(self, meanwhile: Callable[[], object] = lambda: None) -> None:
        self.count = 0
        self.meanwhile = meanwhile

    def embed_images(self, images: Sequence[Image.Image]) -> np.ndarray:
        self.count += len(images)
        self.meanwhile()
        return np.array([mean_colour(image) for image in images], np.float32)


def mean_colour(image: Image.Image) -> np.ndarray:
    return np.asarray(image).mean(axis=(0, 1)) + 1


def paint(file: Path, colour: int) -> Path:
    """Write an image of a colour 0xRRGGBB; the same colour makes the same bytes."""
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (2, 2), f"#{colour:06x}").save(file)
    return file


def paint_many(folder: Path, n: int, *, first: int = 0) -> list[Path]:
    """Write n images, no two of the same colour or of the same bytes."""
    return [paint(folder / f"{i:05}.png", (i * 7919 + 1) % 2**24) for i in range(first, first + n)]


def add_with(collection: Collection, folder: Path, **options: Any) -> AddReport:
    """Add a folder with options of `IngestOptions`, also with those that `add` does not take."""
    return adding.add(
        collection._state,
        ImageWalk([folder]),
        IngestOptions(**options),
        prune=False,
        progress=lambda done, total: None,
    )


def assert_stored(db: Database, folder: Path) -> None:
    """Each image below the folder is stored once, as it is now, and the index is true."""
    columns = "path, content_hash, size, mtime_ns, embedding"
    _, rows = db.rows(f"SELECT {columns} FROM {TABLE} JOIN {TABLE}_files USING (id)")
    assert sorted(row[0] for row in rows) == sorted(map(str, folder.rglob("*.png")))
    assert db.rows(f"SELECT COUNT(*) FROM {TABLE}")[1] == [(len(rows),)]
    for path, digest, size, mtime_ns, embedding in rows:
        content, status = Path(path).read_bytes(), Path(path).stat()
        assert digest == hashlib.sha256(content).digest(), path
        assert (size, mtime_ns) == (status.st_size, status.st_mtime_ns), path
        with Image.open(path) as image:
            assert np.allclose(embedding, mean_colour(image)), path
    assert db.collection(TABLE).index.check().is_consistent
