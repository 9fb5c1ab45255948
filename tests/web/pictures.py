"""Pictures for uploads."""

import io

import numpy as np
from PIL import Image


def jpeg(seed: int, *, size: tuple[int, int] = (64, 48)) -> bytes:
    """A JPEG of random colours; the same seed gives the same bytes."""
    pixels = np.random.default_rng(seed).integers(0, 255, (6, 8, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).resize(size).save(file, "JPEG")
    return file.getvalue()
