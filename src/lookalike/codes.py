"""Vectors as codes of one bit a dimension, and inner products estimated from them.

RaBitQ: Gao and Long, "RaBitQ: Quantizing High-Dimensional Vectors with a Theoretical Error Bound
for Approximate Nearest Neighbor Search", SIGMOD 2024, with the residuals of an inverted file.

A vector x lies in the cell of its nearest centroid c. Its residual x - c is turned by a random
rotation R; the signs of z = R (x - c) are its code. With s = sign(z), +1 or -1,

    <x - c, q>  is estimated by  scale * <s, R q>,     scale = |z|^2 / sum |z_i|

which is unbiased over the rotations, with an error of about |x - c| |q| / sqrt(dim). Since
<x, q> = <c, q> + <x - c, q>, one rotated query serves all cells. It is rounded to 4 bits,
R q ~ step * (u - 7.5) with u from 0 to 15, and u is cut into bit planes p_0 to p_3. Two bits
agree or differ, so with h_j = BIT_COUNT(code ^ p_j)

    <s, R q>  ~  step * (7.5 * bits - h_0 - 2 h_1 - 4 h_2 - 8 h_3)

which SQL can compute.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]
Bytes = npt.NDArray[np.uint8]

PLANES = 4
_LEVELS = 2**PLANES
_BLOCK = 1024


@dataclass(frozen=True)
class Rotation:
    """A random rotation of vectors of length dim into `bits`, dim rounded up to whole bytes.

    The same dim and seed give the same rotation. Longer vectors than 1024 are permuted and
    rotated in equal blocks of at most that, which mixes enough and costs less than dim^2.
    """

    dim: int
    seed: int

    @property
    def bits(self) -> int:
        return -(-self.dim // 8) * 8

    @cached_property
    def _permutation(self) -> npt.NDArray[np.intp]:
        return np.random.default_rng(self.seed).permutation(self.bits)

    @cached_property
    def _blocks(self) -> list[FloatArray]:
        """Random orthogonal matrices (Haar), whose sizes add up to `bits`."""
        rng = np.random.default_rng([self.seed, 1])
        sizes = [len(part) for part in np.array_split(range(self.bits), -(-self.bits // _BLOCK))]
        return [_random_orthogonal(size, rng) for size in sizes]

    def __call__(self, vectors: FloatArray) -> FloatArray:
        """Rotate vectors, shape (n, dim), into shape (n, bits)."""
        padded = np.zeros((len(vectors), self.bits), np.float32)
        padded[:, : self.dim] = vectors
        if len(self._blocks) == 1:
            return padded @ self._blocks[0]
        padded = padded[:, self._permutation]
        edges = np.cumsum([len(block) for block in self._blocks])[:-1]
        parts = zip(np.split(padded, edges, axis=1), self._blocks, strict=True)
        return np.concatenate([part @ block for part, block in parts], axis=1)


def _random_orthogonal(size: int, rng: np.random.Generator) -> FloatArray:
    # Mezzadri, "How to generate random matrices from the classical compact groups", 2007: the
    # signs of the diagonal make the distribution uniform.
    q, r = np.linalg.qr(rng.standard_normal((size, size)))
    return np.asarray(q * np.sign(np.diag(r)), np.float32)


def encode(residuals: FloatArray, rotation: Rotation) -> tuple[Bytes, FloatArray]:
    """Return the codes, shape (n, bits / 8), and scales, shape (n,), of residuals (n, dim).

    Bit i of a code, counted from the left, is 1 where z_i is positive. An all-zero residual has
    scale 0.
    """
    rotated = rotation(residuals)
    sums = np.abs(rotated).sum(axis=1)
    squares = np.einsum("ij,ij->i", rotated, rotated)
    scales = np.divide(squares, sums, out=np.zeros_like(sums), where=sums > 0)
    return np.packbits(rotated > 0, axis=1), scales


@dataclass(frozen=True)
class QueryPlanes:
    """A rotated query in 4 bits: <s, R q> ~ step * (centre - h_0 - 2 h_1 - 4 h_2 - 8 h_3).

    planes: shape (4, bits / 8); plane j has the bits of weight 2^j.
    """

    planes: Bytes
    step: float
    centre: float


def query_planes(query: FloatArray, rotation: Rotation) -> QueryPlanes:
    """Round a query, shape (dim,), for the estimate."""
    rotated = rotation(query[np.newaxis])[0]
    step = max(float(np.abs(rotated).max()) * 2 / (_LEVELS - 1), float(np.finfo(np.float32).tiny))
    middle = (_LEVELS - 1) / 2
    levels = np.clip(np.rint(rotated / step + middle), 0, _LEVELS - 1).astype(np.uint8)
    planes = np.stack([np.packbits(levels >> j & 1) for j in range(PLANES)])
    return QueryPlanes(planes, step, middle * rotation.bits)


def estimate(codes: Bytes, scales: FloatArray, query: QueryPlanes) -> FloatArray:
    """Return the estimates of <x - c, q> for codes (n, bits / 8) and scales (n,): shape (n,)."""
    distances = np.bitwise_count(codes[:, np.newaxis] ^ query.planes).sum(axis=2)
    weighted = distances @ (2.0 ** np.arange(PLANES))
    return np.asarray(scales * query.step * (query.centre - weighted), np.float32)
