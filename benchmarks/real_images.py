"""Embeddings of real images: Debian's clip-art, whole and in random crops, and photographs.

The images are those of benchmarks/embedded_model_mean.py, whose `fetch` brings them here, with all
of openclipart-png instead of a sample. The model is lookalike's embedded one.
"""

import random
import zlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from benchmarks.embedded_model_mean import SMALLEST_SIDE, WALLPAPERS, images_under
from lookalike.core.errors import ImageError
from lookalike.images.decode import open_image
from lookalike.models.base import FloatArray, Pixels
from lookalike.models.efficientnet.model import EfficientNetLite2

CLIP_ART_CROPS = 3
PHOTO_CROPS = 8
STAMP_CROPS = 2
LARGEST_SIDE = 2000  # pixels, before crops are cut
LOOK_AHEAD = 16  # pictures being decoded
EMPTY = 4.0  # grey levels of standard deviation: a crop with less shows next to nothing
TRIES = 8

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Picture:
    """An image file, or the bytes of one, and how many random squares of it are embedded too."""

    group: str
    name: str
    source: Path | bytes
    crops: int


def pictures(folder: Path) -> list[Picture]:
    """Every picture of the folder that `fetch` filled, in one order on every machine."""
    return [*clip_art(folder), *wallpapers(folder), *gcompris(folder), *samples(folder)] + [
        Picture("stamps", path.name, path, STAMP_CROPS)
        for path in images_under(folder / "debian/tuxpaint-stamps-default")
    ]


def clip_art(folder: Path) -> Iterator[Picture]:
    """All of openclipart-png; some of its names are links to another's file, and left out."""
    for path in images_under(folder / "debian" / "openclipart-png"):
        if not path.is_symlink():
            yield Picture("clip-art", path.name, path, CLIP_ART_CROPS)


def wallpapers(folder: Path) -> Iterator[Picture]:
    """The largest rendition of each wallpaper."""
    largest: dict[Path, Path] = {}
    for package in WALLPAPERS:
        for path in images_under(folder / "debian" / package):
            if path.stem != "screenshot" and not path.is_symlink():
                one = next((p for p in path.parents if p.name == "contents"), path)
                largest[one] = max(largest.get(one, path), path, key=lambda p: p.stat().st_size)
    for key, path in largest.items():
        yield Picture("wallpapers", str(key.relative_to(folder)), path, PHOTO_CROPS)


def gcompris(folder: Path) -> Iterator[Picture]:
    """The WebP photographs inside the resource files."""
    for resource in sorted((folder / "debian" / "gcompris-qt-data").rglob("*.rcc")):
        data = resource.read_bytes()
        start = data.find(b"RIFF")
        while start >= 0:
            size = 8 + int.from_bytes(data[start + 4 : start + 8], "little")
            if data[start + 8 : start + 12] == b"WEBP":
                name = f"{resource.stem}/{start}"
                yield Picture("gcompris", name, data[start : start + size], PHOTO_CROPS)
            start = data.find(b"RIFF", start + 1)


def samples(folder: Path) -> Iterator[Picture]:
    """The photographs in Python packages, without handwritten digits."""
    for path in images_under(folder / "pypi"):
        if "mnist" not in path.name:
            yield Picture("samples", path.name, path, PHOTO_CROPS)


def views(picture: Picture) -> list[Image.Image]:
    """The picture whole, and squares of 0.4 to 0.8 of its short side from random places.

    A square that shows next to nothing is drawn again, so that blank ones do not become one
    embedding many times over. Icons have no squares; what cannot be read has no view at all.
    """
    try:
        image = open_image(picture.source, name=picture.name)
    except ImageError:
        return []
    image.thumbnail((LARGEST_SIDE, LARGEST_SIDE), Image.Resampling.BICUBIC)
    if min(image.size) < SMALLEST_SIDE:
        return [image]
    rng = random.Random(zlib.crc32(picture.name.encode()))
    squares = (_square(image, rng) for _ in range(picture.crops))
    return [image, *(square for square in squares if square is not None)]


def _square(image: Image.Image, rng: random.Random) -> Image.Image | None:
    for _ in range(TRIES):
        side = round(min(image.size) * rng.uniform(0.4, 0.8))
        left, top = (rng.randint(0, length - side) for length in image.size)
        square = image.crop((left, top, left + side, top + side))
        if np.asarray(square.convert("L")).std() >= EMPTY:
            return square
    return None


def embed(
    folder: Path, progress: Callable[[int], None]
) -> tuple[FloatArray, npt.NDArray[np.int32], list[str]]:
    """Embed every view of every picture: (n, 1280) float32, the picture's number and group of each.

    `progress` is told the number of views after each batch.
    """
    model = EfficientNetLite2()
    size = model.batch_size
    rows: list[FloatArray] = []
    numbers: list[int] = []
    groups: list[str] = []
    batch: list[Pixels] = []
    found = pictures(folder)

    def decode(picture: Picture) -> list[Pixels]:
        return [model.preprocessing(view) for view in views(picture)]

    for number, decoded in enumerate(_ahead(decode, found)):
        numbers += [number] * len(decoded)
        groups += [found[number].group] * len(decoded)
        batch += decoded
        while len(batch) >= size or (batch and number == len(found) - 1):
            rows.append(model.embed_batch(np.stack(batch[:size])))
            batch = batch[size:]
            progress(len(numbers))
    return np.concatenate(rows), np.array(numbers, np.int32), groups


def _ahead(function: Callable[[T], R], items: Iterable[T]) -> Iterator[R]:
    """Results in order, computed by threads a bounded number of items ahead."""
    with ThreadPoolExecutor(2) as pool:
        waiting: deque[Future[R]] = deque()
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > LOOK_AHEAD:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
