"""Check, pack, unpack and compare float32 vectors."""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from lookalike.core.errors import EmbeddingError, InputError
from lookalike.core.types import Metric

FloatArray = npt.NDArray[np.float32]

MAX_DIM = 16383
"""MySQL's maximum length of a VECTOR."""


def check_embeddings(embeddings: npt.ArrayLike, dim: int) -> FloatArray:
    """Return embeddings as an array of shape (n, dim), float32, C order.

    Accepts shape (n, dim) or, for one embedding, (dim,). Raises EmbeddingError for another length,
    NaN, infinity (also after rounding to float32) and all-zero rows, which have no cosine.
    """
    try:
        with np.errstate(over="ignore"):
            array = np.atleast_2d(np.asarray(embeddings)).astype("<f4", order="C")
    except (ValueError, TypeError) as error:
        raise EmbeddingError(f"embeddings must be numbers, one row each: {error}") from error
    if array.ndim != 2 or array.shape[1] != dim:
        raise EmbeddingError(
            f"an embedding has {array.shape[-1]} dimensions, and this collection has {dim}"
        )
    _refuse_rows(~np.isfinite(array).all(axis=1), "has NaN or infinity")
    _refuse_rows(~array.any(axis=1), "is all zero, so it has no direction to compare")
    return array


def check_embedding(embedding: npt.ArrayLike, dim: int) -> FloatArray:
    """Return one embedding as an array of shape (dim,), float32; like `check_embeddings`."""
    array = np.asarray(embedding)
    if array.ndim != 1:
        raise EmbeddingError(f"an embedding has shape ({dim},), not {array.shape}")
    checked: FloatArray = check_embeddings(array, dim)[0]
    return checked


def check_lengths(embeddings: FloatArray, limits: tuple[float, float] | None, server: str) -> None:
    """Raise EmbeddingError for embeddings (n, dim) whose lengths a server cannot compare."""
    if limits is None:
        return
    (least, most), lengths = limits, np.linalg.norm(embeddings.astype(np.float64), axis=1)
    wrong = np.flatnonzero((lengths < least) | (lengths > most))
    if wrong.size:
        raise EmbeddingError(
            f"embedding {wrong[0]} has the length {lengths[wrong[0]]:.3g}; {server} compares "
            f"lengths from {least:g} to {most:g}"
        )


def _refuse_rows(bad: npt.ArrayLike, why: str) -> None:
    rows = np.flatnonzero(bad)
    if rows.size:
        raise EmbeddingError(f"embedding {rows[0]} of {np.size(bad)} (counted from 0) {why}")


def ids_array(values: Iterable[int]) -> npt.NDArray[np.int64]:
    """Return ids as an array of shape (n,), int64.

    Raises InputError for ids of 2^63 and above, which a BIGINT UNSIGNED can hold.
    """
    ids = list(values)
    try:
        return np.array(ids, np.int64)
    except OverflowError as error:
        raise InputError(
            f"id {max(ids, key=abs)} is too large: lookalike supports ids below 2^63 "
            f"({2**63}); give that row a smaller id"
        ) from error


def pack(embedding: FloatArray) -> bytes:
    """Return the 4 * dim little-endian bytes that a VECTOR column stores."""
    return np.ascontiguousarray(embedding, dtype="<f4").tobytes()


def unpack(packed: Sequence[bytes | str], dim: int) -> FloatArray:
    """Return vectors from the bytes of a VECTOR column: shape (n, dim), float32.

    Some servers send a vector as text, `[1,-0.5]`, with all the digits of each number. Raises
    EmbeddingError for a vector of another length: VECTOR(n) also stores shorter ones.
    """
    stored = [of_server(each) for each in packed]
    wrong = next((p for p in stored if len(p) != 4 * dim), None)
    if wrong is not None:
        raise EmbeddingError(
            f"a stored embedding has {len(wrong) // 4} dimensions, not {dim}: "
            "find it by VECTOR_DIM of the column, and replace or delete it"
        )
    return np.frombuffer(b"".join(stored), dtype="<f4").reshape(len(packed), dim)


def of_server(vector: bytes | str) -> bytes:
    """Return the bytes of a vector, which some servers send as text."""
    if isinstance(vector, bytes):
        return vector
    return np.fromstring(vector.strip("[]"), np.float64, sep=",").astype("<f4").tobytes()


def pack_bfloat16(vectors: FloatArray) -> list[bytes]:
    """Return each row rounded to bfloat16, 2 little-endian bytes per number.

    bfloat16 is the upper half of a float32: the same range, with 8 significant bits.
    """
    return [row.tobytes() for row in to_bfloat16(vectors)]


def unpack_bfloat16(packed: Sequence[bytes], dim: int) -> FloatArray:
    """Return the vectors that `pack_bfloat16` packed: shape (n, dim), float32."""
    return of_bfloat16(np.frombuffer(b"".join(packed), "<u2").reshape(len(packed), dim))


def to_bfloat16(vectors: FloatArray) -> npt.NDArray[np.uint16]:
    """Return float32 rounded to bfloat16, as the upper halves of their bits, in the same shape."""
    bits = np.ascontiguousarray(vectors, "<f4").view("<u4")
    return ((bits.astype(np.uint64) + 0x8000) >> 16).astype("<u2")


def of_bfloat16(halves: npt.NDArray[np.uint16]) -> FloatArray:
    """Return the float32 of `to_bfloat16`'s halves."""
    return (halves.astype("<u4") << 16).view("<f4")


def similarity(
    query: FloatArray, embeddings: FloatArray, metric: Metric
) -> npt.NDArray[np.float64]:
    """Return the similarity of query (dim,) to each row of embeddings (n, dim): (n,), float64.

    Larger is nearer: the cosine, within [-1, 1]; the dot product; or the negative Euclidean
    distance. An all-zero row has no cosine and gives NaN.
    """
    left, right = query.astype(np.float64), embeddings.astype(np.float64)
    if metric == "euclidean":
        distances: npt.NDArray[np.float64] = np.linalg.norm(right - left, axis=1)
        return -distances
    dots: npt.NDArray[np.float64] = right @ left
    if metric == "dot":
        return dots
    with np.errstate(invalid="ignore", divide="ignore"):
        cosines = dots / (np.linalg.norm(right, axis=1) * np.linalg.norm(left))
    clipped: npt.NDArray[np.float64] = np.clip(cosines, -1.0, 1.0)
    return clipped
