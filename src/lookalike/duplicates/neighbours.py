"""Pictures whose embeddings are near one another: each asks the index for its neighbours."""

from collections.abc import Sequence
from concurrent.futures import Executor
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lookalike.core.errors import InputError
from lookalike.core.progress import Progress
from lookalike.core.vectors import FloatArray, similarity
from lookalike.duplicates.pictures import Images, Numbers
from lookalike.index.store import IndexStore
from lookalike.index.training import FEWEST_ROWS
from lookalike.search.options import Asked, SearchOptions
from lookalike.search.searcher import Searcher
from lookalike.search.trace import Trace

Scores = npt.NDArray[np.float64]

K = 10
"""Neighbours that a picture asks for, besides its own copies."""

MOST = 640
"""Where all of them are similar enough it asks for more, up to so many."""

_BATCH = 64


class Pairs(NamedTuple):
    """Pairs of pictures by number, the smaller first, each once: arrays of shape (n,)."""

    first: Numbers
    second: Numbers
    similarity: Scores

    def where(self, chosen: npt.NDArray[np.bool_]) -> "Pairs":
        """Some of them."""
        return Pairs(self.first[chosen], self.second[chosen], self.similarity[chosen])


def unique_pairs(parts: Sequence[tuple[Numbers, Numbers, Scores]]) -> Pairs:
    """Return pairs of parts that may name one twice, in either order."""
    one, other, scores = (
        np.concatenate([np.asarray(part[column], kind) for part in parts] or [np.empty(0, kind)])
        for column, kind in enumerate((np.int64, np.int64, np.float64))
    )
    ends = np.stack([np.minimum(one, other), np.maximum(one, other)])
    _, kept = np.unique(ends, axis=1, return_index=True)
    return Pairs(ends[0, kept], ends[1, kept], scores[kept])


def neighbours(
    index: IndexStore,
    images: Images,
    workers: Executor,
    *,
    enough: float,
    least: float,
    progress: Progress,
) -> Pairs:
    """Return the pairs of pictures that are among one another's nearest.

    enough: all pairs of this similarity are wanted, up to MOST of a picture; least: of the others,
    which are among the K nearest, those no less similar. progress: in pictures.

    Raises InputError while another process makes the index.
    """
    if not len(images):
        return unique_pairs([])
    if len(images) < FEWEST_ROWS:
        return _among_few(index, images, enough, least)
    if index.load() is None:
        raise InputError(
            f"the index of {index.table!r} is being built by another process; try again later"
        )
    copies = np.bincount(images.picture)

    def ask(row_ids: Numbers) -> list[tuple[Numbers, Numbers, Scores]]:
        searcher, found = Searcher(index), []
        for row_id, embedding in zip(*index.table.usable_embeddings(row_ids.tolist()), strict=True):
            picture = images.pictures_of(np.array([row_id]))
            ids, scores = _nearest(searcher, embedding, K + int(copies[picture[0]]), enough)
            others = images.pictures_of(ids)
            near = (others >= 0) & (others != picture) & (scores >= min(enough, least))
            found.append((np.repeat(picture, near.sum()), others[near], scores[near]))
        return found

    asking = images.ids[images.first]
    batches = [asking[start : start + _BATCH] for start in range(0, len(asking), _BATCH)]
    found, done = [], 0
    for part in workers.map(ask, batches):
        found += part
        done = min(done + _BATCH, len(asking))
        progress(done, len(asking))
    return unique_pairs(found)


def _nearest(
    searcher: Searcher, embedding: FloatArray, k: int, enough: float
) -> tuple[Numbers, Scores]:
    """Return ids and similarities of the k nearest, of more where even the last is near enough."""
    while True:
        matches = searcher.search(Asked(embedding, SearchOptions(k=k)), Trace())[1]
        if len(matches) < k or matches[-1].similarity < enough or k >= MOST:
            break
        k = min(4 * k, MOST)
    ids = np.array([match.id for match in matches], np.int64)
    return ids, np.array([match.similarity for match in matches])


def _among_few(index: IndexStore, images: Images, enough: float, least: float) -> Pairs:
    """The same where there are too few for an index: all are compared, K where least is none."""
    ids, embeddings = index.table.usable_embeddings(images.ids[images.first].tolist())
    pictures, found = images.pictures_of(ids), []
    for place, embedding in enumerate(embeddings):
        scores = similarity(embedding, embeddings, index.table.metric)
        scores[place] = -np.inf
        nearest = np.partition(scores, -K)[-K] if len(scores) > K else -np.inf
        near = scores >= min(enough, nearest if least == -np.inf else least)
        near[place] = False
        found.append((np.full(near.sum(), pictures[place]), pictures[near], scores[near]))
    return unique_pairs(found)
