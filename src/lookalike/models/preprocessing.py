"""Preprocess an image into a network's input, a square of 8-bit pixels, without the network."""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

from lookalike.core.errors import InputError

LONGEST_SIDES: Final = 16  # a longer image, in multiples of its short side, is cropped first


@dataclass(frozen=True)
class Preprocessing:
    """Crops and resizes an image to the central square that a network takes; can be pickled.

    short_side: the pixels that the image's short side is resized to.
    crop: the side of the square, in pixels, at most `short_side`.
    whole: resize the whole image to a whole number of pixels, then crop at a whole pixel, as CLIP's
        image processor does; otherwise resize only the square, from between pixels.
    resample: Pillow's filter.
    """

    short_side: int
    crop: int
    whole: bool = False
    resample: Image.Resampling = Image.Resampling.BICUBIC

    def __call__(self, image: Image.Image) -> npt.NDArray[np.uint8]:
        """Return an RGB image as an array of shape (crop, crop, 3), uint8.

        Raises InputError if the image is not RGB.
        """
        if image.mode != "RGB":
            raise InputError(
                f"an image of mode {image.mode!r} cannot be embedded; convert it to RGB"
            )
        return np.asarray(self._from_whole(image) if self.whole else self._square(image))

    def _square(self, image: Image.Image) -> Image.Image:
        # Resample only the square: a 1 x 5000 image resized whole would be 298 x 1,490,000.
        side = min(image.size) * self.crop / self.short_side
        left, top = ((length - side) / 2 for length in image.size)
        box = (left, top, left + side, top + side)
        return image.resize((self.crop, self.crop), self.resample, box=box)

    def _from_whole(self, image: Image.Image) -> Image.Image:
        image = shorten(image)
        short = min(image.size)
        width, height = (self.short_side * length // short for length in image.size)
        whole = image.resize((width, height), self.resample)
        left, top = (width - self.crop) // 2, (height - self.crop) // 2
        return whole.crop((left, top, left + self.crop, top + self.crop))


def shorten(image: Image.Image) -> Image.Image:
    """Crop the ends of a very long image; only its central square is used.

    Resized whole, an image of 1 x 5000 pixels would become 224 x 1,120,000.
    """
    short = min(image.size)
    box = [0, 0, *image.size]
    for axis, length in enumerate(image.size):
        excess = length - short * LONGEST_SIDES
        if excess > 0:
            box[axis] += excess // 2
            box[axis + 2] -= excess // 2
    left, top, right, bottom = box
    return image.crop((left, top, right, bottom)) if box[2:] != [*image.size] else image
