"""Perceptual hashes: bit for bit those of imagehash, which databases hold already."""

import imagehash
import numpy as np
import pytest
from PIL import Image

from lookalike.duplicates.phash import phashes

SIDE = 96


def assert_equal(images):
    found = phashes(images)
    assert found.shape == (len(images), 8, 8)
    for image, bits in zip(images, found, strict=True):
        assert (imagehash.phash(image).hash == bits).all()


def grey(pixels):
    return Image.fromarray(pixels.astype(np.uint8))


def test_hashes_of_photographs(photos):
    found = []
    for file in sorted(photos.iterdir()):
        if file.suffix != ".md":
            with Image.open(file) as image:
                found.append(image.convert("L"))
    assert len(found) > 10
    assert_equal(found)


@pytest.mark.parametrize("side", [8, 32, SIDE])
def test_hashes_of_noise(side):
    rng = np.random.default_rng(side)
    assert_equal([grey(rng.integers(0, 256, (side, side))) for _ in range(300)])


def test_hashes_of_blank_and_symmetric_images():
    """Where coefficients are zero but for rounding, and its sign would decide."""
    x, y = np.meshgrid(np.arange(SIDE), np.arange(SIDE))
    centre = np.hypot(x - (SIDE - 1) / 2, y - (SIDE - 1) / 2)
    half = np.random.default_rng(1).integers(0, 256, (SIDE, SIDE // 2))
    mirrored = np.concatenate([half, half[:, ::-1]], axis=1)
    images = [np.full((SIDE, SIDE), value) for value in (0, 1, 77, 127, 255)]
    images += [mirrored, mirrored.T, mirrored + mirrored.T, x, y, x + y, 255 - x]
    images += [255 * (centre < radius) for radius in range(2, 60, 3)]
    images += [255 * ((x // step + y // step) % 2) for step in (1, 2, 3, 4, 8, 12, 16, 32, 48)]
    images += [255 * (x // step % 2) for step in (1, 2, 3, 4, 8, 12, 16, 32, 48)]
    assert_equal([grey(np.minimum(image, 255)) for image in images])
