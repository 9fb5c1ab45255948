"""Perceptual hashes: which of the lowest frequencies of a small grey image are above their median.

Equal bit for bit to `imagehash.phash`, so that stored hashes stay comparable. A discrete cosine
transform of other rounding would not be: symmetric images have coefficients that cancel out to
exactly zero, and the sign of a rounding error would decide their bits.
"""

import math
from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt
from PIL import Image

_SIDE: Final = 32  # pixels of the small image
_KEPT: Final = 8  # frequencies a side

Floats = npt.NDArray[np.float64]


def phashes(images: Sequence[Image.Image]) -> npt.NDArray[np.bool_]:
    """Return hashes of shape (n, 8, 8) of grey images (Pillow's mode L)."""
    size = (_SIDE, _SIDE)
    resized = [image.resize(size, Image.Resampling.LANCZOS) for image in images]
    small = np.stack([np.asarray(image, np.float64) for image in resized])
    columns = _cosine_transform(small.swapaxes(1, 2)).swapaxes(1, 2)
    low = _cosine_transform(columns[:, :_KEPT])[:, :, :_KEPT]
    above: npt.NDArray[np.bool_] = low > np.median(low, axis=(1, 2), keepdims=True)
    return above


def _cosine_transform(values: Floats) -> Floats:
    """Return the DCT-II along the last axis, of length 32, not normalised.

    Computed as pocketfft does (https://gitlab.mpcdf.mpg.de/mtr/pocketfft, T_dcst23), which scipy
    and hence imagehash use: sums and differences, the real FFT that numpy has of pocketfft as
    well, and a rotation; in the same order, with the same factors.
    """
    last, half = _SIDE - 1, _SIDE // 2
    halved = np.zeros((*values.shape[:-1], half + 1), np.complex128)
    halved[..., 0] = 2.0 * values[..., 0]
    halved[..., half] = 2.0 * values[..., last]
    odd, even = values[..., 1:last:2], values[..., 2:last:2]
    halved.real[..., 1:half] = even + odd
    halved.imag[..., 1:half] = even - odd
    result: Floats = np.fft.irfft(halved, n=_SIDE, norm="forward")
    low, high = result[..., 1:half], result[..., last:half:-1]
    a, b = _FACTORS[: half - 1], _FACTORS[: half - 1 : -1]
    sums, differences = a * high + b * low, a * low - b * high
    result[..., 1:half] = 0.5 * (sums + differences)
    result[..., last:half:-1] = 0.5 * (sums - differences)
    result[..., half] *= _FACTORS[half - 1]
    return result


def _unit(eighths: int) -> complex:
    """Return exp(2 pi i k / 128), the angle in its first octant, where 8 k is given."""
    n = 4 * _SIDE
    angle = math.pi / 4 / n
    if eighths < n:
        return complex(math.cos(eighths * angle), math.sin(eighths * angle))
    rest = (2 * n - eighths) * angle
    return complex(math.sin(rest), math.cos(rest))


def _factor(k: int) -> float:
    """Return cos(2 pi k / 128) as a product of two tables' entries, as pocketfft has it."""
    fine, coarse = _unit(8 * (k % 16)), _unit(8 * (k - k % 16))
    return fine.real * coarse.real - fine.imag * coarse.imag


_FACTORS: Final = np.array([_factor(k) for k in range(1, _SIDE)])
