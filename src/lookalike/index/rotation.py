"""Random rotations, which change no inner product and spread a vector evenly over its numbers.

A factored rotation multiplies by two small matrices, so that SQL can compute it, too. Dense ones
are those of older indexes.
"""

import hashlib
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cached_property
from math import sqrt
from typing import Literal

import numpy as np
import numpy.typing as npt

from lookalike.core.vectors import FloatArray

Kind = Literal["dense", "factored"]

WIDTH = 32
"""Numbers in a row of a factored rotation: SQL has a column for each."""

_BLOCK = 1024


@dataclass(frozen=True)
class Rotation(ABC):
    """A random rotation from dim to `bits` dimensions; the same dim and seed give the same one."""

    dim: int
    seed: int

    @property
    @abstractmethod
    def bits(self) -> int:
        """Dimensions of a rotated vector: whole bytes."""

    @abstractmethod
    def __call__(self, vectors: FloatArray) -> FloatArray:
        """Rotate vectors, shape (n, dim), into shape (n, bits)."""

    def _padded(self, vectors: FloatArray) -> FloatArray:
        padded = np.zeros((len(vectors), self.bits), np.float32)
        padded[:, : self.dim] = vectors
        return padded


class FactoredRotation(Rotation):
    """Flips random signs, then multiplies vectors, as matrices of 32 columns, from both sides.

    y = A (x * signs) B for x of shape (bits / 32, 32). B is a Hadamard matrix; A too if its order
    is a power of two, otherwise the matrix of the discrete Hartley transform (Bracewell, 1983).
    All numbers of a Hadamard matrix have the same size, and none of a Hartley matrix is large, so
    that one large number of x is spread over all of y. The signs make it random (Ailon and
    Chazelle, "The fast Johnson-Lindenstrauss transform", 2009).
    """

    @property
    def bits(self) -> int:
        return -(-self.dim // WIDTH) * WIDTH

    @property
    def rows(self) -> int:
        """Return the number of rows of a vector as a matrix."""
        return self.bits // WIDTH

    @cached_property
    def signs(self) -> FloatArray:
        """Return 1 or -1 for each number: shape (bits,).

        The 32 signs of row r are the first bits of the SHA-256 of `seed:r`; 1 stands for -1.
        """
        digests = (hashlib.sha256(f"{self.seed}:{row}".encode()) for row in range(self.rows))
        flipped = np.frombuffer(b"".join(d.digest()[: WIDTH // 8] for d in digests), np.uint8)
        return np.where(np.unpackbits(flipped), np.float32(-1), np.float32(1))

    @cached_property
    def _within(self) -> FloatArray:
        return np.asarray(hadamard(WIDTH) / sqrt(WIDTH), np.float32)

    @cached_property
    def _across(self) -> FloatArray:
        is_power = self.rows & (self.rows - 1) == 0
        matrix = hadamard(self.rows) if is_power else hartley(self.rows)
        return np.asarray(matrix / sqrt(self.rows), np.float32)

    def __call__(self, vectors: FloatArray) -> FloatArray:
        signed = self._padded(vectors)
        signed *= self.signs
        within = (signed.reshape(-1, WIDTH) @ self._within).reshape(-1, self.rows, WIDTH)
        if self.rows == 1:
            return within[:, 0]
        rotated: FloatArray = np.matmul(self._across, within).reshape(-1, self.bits)
        return rotated


def hadamard(order: int) -> npt.NDArray[np.float64]:
    """Return Sylvester's matrix of 1 and -1; order: a power of two."""
    matrix = np.ones((1, 1))
    while len(matrix) < order:
        matrix = np.block([[matrix, matrix], [matrix, -matrix]])
    return matrix


def hartley(order: int) -> npt.NDArray[np.float64]:
    """Return the matrix of cos(t) + sin(t), t = 2 pi i j / order."""
    places = np.arange(order)
    angles = 2 * np.pi * (np.outer(places, places) % order) / order
    return np.asarray(np.cos(angles) + np.sin(angles))


class DenseRotation(Rotation):
    """Multiplies by a random orthogonal matrix (Haar).

    Vectors longer than 1024 are permuted and rotated in equal blocks of at most that, which mixes
    enough and costs less than dim^2.
    """

    @property
    def bits(self) -> int:
        return -(-self.dim // 8) * 8

    @cached_property
    def _permutation(self) -> npt.NDArray[np.intp]:
        return np.random.default_rng(self.seed).permutation(self.bits)

    @cached_property
    def _blocks(self) -> list[FloatArray]:
        """Return matrices whose sizes add up to `bits`."""
        rng = np.random.default_rng([self.seed, 1])
        sizes = [len(part) for part in np.array_split(range(self.bits), -(-self.bits // _BLOCK))]
        return [_random_orthogonal(size, rng) for size in sizes]

    def __call__(self, vectors: FloatArray) -> FloatArray:
        padded = self._padded(vectors)
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


_KINDS: dict[Kind, type[Rotation]] = {"dense": DenseRotation, "factored": FactoredRotation}


def rotation_of(kind: Kind, dim: int, seed: int) -> Rotation:
    """Return a rotation of a kind."""
    return _KINDS[kind](dim, seed)
