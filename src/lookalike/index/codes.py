"""Encode vectors with one bit per dimension, and estimate inner products from the codes.

RaBitQ: Gao and Long, "RaBitQ: Quantizing High-Dimensional Vectors with a Theoretical Error Bound
for Approximate Nearest Neighbor Search", SIGMOD 2024.

All vectors are first rotated by one random rotation, which changes no inner product. A vector x is
in the cell of its nearest centroid c; the signs of its residual r = x - c are its code. With
s = sign(r), +1 or -1, and any vector y,

    <r, y>  is estimated by  scale * <s, y>,     scale = |r|^2 / sum |r_i|

This is unbiased over the rotations, with an error of about |r| |y| / sqrt(dim). For a query q,

    <x, q>  =  <c, q> + <r, c> + <r, q - c>

The first term depends only on the cell, the second only on the row; both are exact. The third is
estimated with y = q - c, which is short for the cells that matter. (If only inner products count, a
multiple of c is subtracted: `Index.probes`.) y is rounded to 4 bits, y ~ step * (u - 7.5) with
u from 0 to 15, and u is split into bit planes p_0 to p_3. With h_j = BIT_COUNT(code ^ p_j), the
number of bits that differ,

    <s, y>  ~  step * (7.5 * bits - h_0 - 2 h_1 - 4 h_2 - 8 h_3)

which SQL can compute.

A query can also be rounded once for all cells, which takes more bits: with `shift` = scale * <s, c>
of each row,

    <r, q - c>  is estimated by  scale * <s, q> - shift
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]

PLANES = 4
_LEVELS = 2**PLANES

_FINE_PLANES = 8
_FINE_MIDDLE = (2**_FINE_PLANES - 1) / 2


def encode(residuals: FloatArray) -> tuple[Bytes, FloatArray]:
    """Return the codes, shape (n, bits / 8), and scales, shape (n,), of rotated residuals.

    Bit i of a code, counted from the left, is 1 where number i is positive. An all-zero residual
    has scale 0.
    """
    sums = np.abs(residuals).sum(axis=1)
    squares = np.einsum("ij,ij->i", residuals, residuals)
    scales = np.divide(squares, sums, out=np.zeros_like(sums), where=sums > 0)
    return np.packbits(residuals > 0, axis=1), scales


@dataclass(frozen=True)
class QueryPlanes:
    """Rotated vectors y in 4 bits: <s, y> ~ step * (centre - h_0 - 2 h_1 - 4 h_2 - 8 h_3).

    planes: shape (n, 4, bits / 8); plane j holds the bits of weight 2^j. steps: shape (n,).
    """

    planes: Bytes
    steps: FloatArray
    centre: float


def query_planes(rotated: FloatArray) -> QueryPlanes:
    """Round rotated vectors y, shape (n, bits), for the estimate."""
    middle = (_LEVELS - 1) / 2
    steps = np.maximum(np.abs(rotated).max(axis=1) / middle, np.finfo(np.float32).tiny)
    levels = np.rint(rotated / steps[:, np.newaxis] + middle)
    levels = np.clip(levels, 0, _LEVELS - 1).astype(np.uint8)
    planes = [np.packbits(levels >> j & 1, axis=1) for j in range(PLANES)]
    return QueryPlanes(np.stack(planes, axis=1), steps, middle * rotated.shape[1])


def estimate(
    codes: Bytes, scales: FloatArray, query: QueryPlanes, which: npt.NDArray[np.intp] | None = None
) -> FloatArray:
    """Return the estimates of <r, y> for codes (n, bits / 8) and scales (n,): shape (n,).

    which: index of each code's y, shape (n,); by default the first y for all.
    """
    chosen = np.zeros(len(codes), np.intp) if which is None else which
    weighted = np.zeros(len(codes))
    for j in range(PLANES):
        differ = np.bitwise_count(codes ^ query.planes[chosen, j])
        weighted += 2.0**j * differ.sum(axis=1)
    return np.asarray(scales * query.steps[chosen] * (query.centre - weighted), np.float32)


@dataclass(frozen=True)
class CentroidPlanes:
    """Centroids c for choosing cells in SQL: by their codes first, the best of these by planes.

    The planes hold c in 8 bits a number: c ~ step * (u - 127.5), u from 0 to 255. Products with a
    query that is rounded in the same way are sums of BIT_COUNT(plane & plane). A code is of c - m,
    m the mean of all: it estimates <c, q> but for <m, q>, which is the same for all cells.

    codes: shape (n, bits / 8). scales: of the codes, as in `encode`. planes: shape (n, bits), the
    plane of weight 2^7 first. level_sums: of all u; it, steps and scales have shape (n,).
    """

    codes: Bytes
    scales: FloatArray
    planes: Bytes
    steps: FloatArray
    level_sums: npt.NDArray[np.int64]


def centroid_planes(centroids: FloatArray) -> CentroidPlanes:
    """Return what SQL chooses cells by, of all centroids (n, bits)."""
    codes, scales = encode(centroids - centroids.mean(axis=0))
    largest = np.abs(centroids).max(axis=1)
    steps = np.maximum(largest / _FINE_MIDDLE, np.finfo(np.float32).tiny)
    levels = np.rint(centroids / steps[:, np.newaxis] + _FINE_MIDDLE).clip(0, 2**_FINE_PLANES - 1)
    u = levels.astype(np.uint8)
    planes = [np.packbits(u >> j & 1, axis=1) for j in reversed(range(_FINE_PLANES))]
    return CentroidPlanes(
        codes,
        scales,
        np.concatenate(planes, axis=1),
        np.asarray(steps, np.float32),
        u.sum(axis=1, dtype=np.int64),
    )
