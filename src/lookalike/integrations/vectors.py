"""Vectors as other libraries give them, and as servers keep them."""

from typing import Any

import numpy as np
import numpy.typing as npt

from lookalike import EmbeddingError, InputError

FloatArray = npt.NDArray[np.float32]
MAX_DIM = 16383


def check_dim(dim: int | None, what: str) -> None:
    """Raise InputError for a number of dimensions that no VECTOR has."""
    is_whole = isinstance(dim, int) and not isinstance(dim, bool)
    if dim is not None and not (is_whole and 1 <= dim <= MAX_DIM):
        raise InputError(f"{what}({dim}): give 1 to {MAX_DIM} dimensions")


def pack(value: npt.ArrayLike, dim: int | None) -> bytes:
    """Return a vector as little-endian float32 numbers. Raises EmbeddingError for what is none."""
    try:
        with np.errstate(over="ignore"):
            vector = np.asarray(value).astype("<f4")
    except (ValueError, TypeError) as error:
        raise EmbeddingError(f"a vector must be numbers: {error}") from error
    if vector.ndim != 1 or (dim is not None and len(vector) != dim):
        expected = f"({dim},)" if dim is not None else "(dim,)"
        raise EmbeddingError(f"a vector has shape {expected}, not {vector.shape}")
    if not np.isfinite(vector).all():
        raise EmbeddingError("a vector has NaN or infinity")
    return vector.tobytes()


def unpack(value: Any) -> FloatArray:
    """Return the vector of such bytes, shape (dim,), float32."""
    return np.frombuffer(bytes(value), "<f4").copy()
