"""Hold an index in memory as a benchmark wants it, with the codes alone or with the embeddings."""

from typing import Literal

import psutil

from lookalike import Collection
from lookalike.index.holding import HeldIndex

What = Literal["codes", "vectors"]


def hold(collection: Collection, what: What) -> HeldIndex:
    """Load an index, with its embeddings in float32 or without, and search by it from then on."""
    state = collection._state
    with_vectors = what == "vectors"
    held = HeldIndex(state.index, limit=psutil.virtual_memory().total, with_vectors=with_vectors)
    if not held.wait() or held.status().precision != ("float32" if with_vectors else None):
        raise RuntimeError(f"the index is not in memory: {held.status()}")
    state.held = held
    return held
