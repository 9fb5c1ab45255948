"""JPEG files of real photographic content, as many and as large as a benchmark wants.

Each is a part of a photograph of examples/photos or of the package scikit-image, enlarged, perhaps
mirrored, brighter or darker, with the grain that a camera adds: no two are alike, none is flat, and
a decoder has as much to do as with a camera's.
"""

import random
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from benchmarks.dataset import CACHE
from lookalike.images.decode import open_image

SCIKIT_IMAGE = "scikit-image==0.26.0"
PHOTOS = Path(__file__).parents[1] / "examples" / "photos"
LEAST_SIDE = 200  # pixels, of an original
GRAIN = 3.0  # grey levels of standard deviation
QUALITY = 90
SEED = 20240601


def make(folder: Path, n: int, size: tuple[int, int]) -> Path:
    """Fill a folder with n JPEGs of a size (width, height), once."""
    if not folder.is_dir():
        new = folder.with_name(folder.name + ".new")
        new.mkdir(parents=True, exist_ok=True)
        images = originals()
        for number in range(n):
            name = new / f"{number:05d}.jpg"
            variation(images[number % len(images)], size, number).save(name, quality=QUALITY)
        new.rename(folder)
    return folder


def originals() -> list[Image.Image]:
    """The photographs that all others are made of, RGB."""
    files = [path for path in sorted(PHOTOS.iterdir()) if path.suffix != ".md"]
    files += sorted(scikit_image().rglob("*.png")) + sorted(scikit_image().rglob("*.jp*g"))
    images = [open_image(path) for path in files]
    return [image for image in images if min(image.size) >= LEAST_SIDE]


def scikit_image() -> Path:
    """The folder of scikit-image's photographs, fetched once."""
    folder = CACHE / "scikit-image"
    if not folder.is_dir():
        wheels = CACHE / "wheels"
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "-d", wheels, SCIKIT_IMAGE]
        subprocess.run([*map(str, command)], check=True)
        (wheel,) = wheels.glob("scikit_image-*.whl")
        new = folder.with_name("scikit-image.new")
        with zipfile.ZipFile(wheel) as archive:
            members = [name for name in archive.namelist() if name.startswith("skimage/data/")]
            archive.extractall(new, members)
        new.rename(folder)
    return folder


def variation(image: Image.Image, size: tuple[int, int], number: int) -> Image.Image:
    """A part of an image, enlarged to a size, with grain; `number` decides which."""
    rng = random.Random(SEED + number)
    part = rng.uniform(0.5, 1.0) * min(image.width / size[0], image.height / size[1])
    width, height = size[0] * part, size[1] * part
    left, top = rng.uniform(0, image.width - width), rng.uniform(0, image.height - height)
    box = (left, top, left + width, top + height)
    made = image.resize(size, Image.Resampling.BICUBIC, box=box)
    if rng.random() < 0.5:
        made = ImageOps.mirror(made)
    made = ImageEnhance.Brightness(made).enhance(rng.uniform(0.7, 1.3))
    grain = np.random.default_rng(SEED + number).normal(0, GRAIN, (size[1], size[0], 1))
    levels = np.asarray(made, np.float32) + grain.astype(np.float32)
    return Image.fromarray(np.clip(levels.round(), 0, 255).astype(np.uint8))
