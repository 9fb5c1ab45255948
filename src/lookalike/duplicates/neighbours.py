"""Pictures whose embeddings are near one another: all are compared, or the index is asked."""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lookalike.core.errors import InputError
from lookalike.core.progress import Progress
from lookalike.core.vectors import FloatArray
from lookalike.duplicates.in_memory import (
    MOST,
    Found,
    K,
    Reach,
    Scores,
    neighbours_in_memory,
    read_usable,
)
from lookalike.duplicates.nearest import all_near
from lookalike.duplicates.pictures import Images, Numbers
from lookalike.index.loading import load
from lookalike.index.store import IndexStore
from lookalike.search.options import Asked, SearchOptions
from lookalike.search.searcher import Searcher
from lookalike.search.trace import Trace

MOST_COMPARED = 20_000
"""Up to so many pictures all are compared with one another: matrices are quicker than the index."""

_FEW = 200
"""Of so few pictures all that are near are compared, not only the nearest."""

_BATCH = 64

Stage = Callable[[str], Progress]
"""Called with what is about to be done; returns what is called with (done, total)."""


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
    first, second = np.minimum(one, other), np.maximum(one, other)
    # One number for each pair: sorting these is quicker than sorting pairs.
    _, kept = np.unique(first * (second.max(initial=0) + 1) + second, return_index=True)
    return Pairs(first[kept], second[kept], scores[kept])


def neighbours(
    index: IndexStore,
    images: Images,
    workers: Executor,
    reach: Reach,
    most_compared: int,
    index_memory: int | None,
    *,
    notify: Callable[[str], None],
    stage: Stage,
) -> tuple[Pairs, Pairs]:
    """Return the pairs of pictures to compare, and those that are similar.

    Raises InputError while another process makes the index.
    """
    if not len(images):
        return unique_pairs([]), unique_pairs([])
    if len(images.first) <= most_compared:
        return _among_all(index, images, reach, stage("Looking for neighbours"))
    loaded = index.load()
    if loaded is None:
        raise InputError(
            f"the index of {index.table.title!r} is being built by another process; try again later"
        )
    memory = None
    if not loaded.plan.is_exact:
        memory = load(index, notify=notify, limit=index_memory, progress=stage("Reading the index"))
    progress = stage("Looking for neighbours")
    if memory is None:
        found = _one_by_one(index, images, reach, workers, progress)
    else:
        found = neighbours_in_memory(index.table, memory, images, reach, workers, progress)
    return _sorted_out(found, reach)


def _one_by_one(
    index: IndexStore, images: Images, reach: Reach, workers: Executor, progress: Progress
) -> list[Found]:
    """Return the pairs of near pictures, a search for each picture."""
    copies = np.bincount(images.picture)

    def ask(row_ids: Numbers) -> list[Found]:
        searcher, found = Searcher(index), []
        for row_id, embedding in zip(*index.table.usable_embeddings(row_ids.tolist()), strict=True):
            picture = images.pictures_of(np.array([row_id]))
            k = K + int(copies[picture[0]])
            ids, scores = _nearest(searcher, embedding, k, min(reach.similar, reach.all_from))
            others = images.pictures_of(ids)
            known = (others >= 0) & (others != picture)
            is_near = (np.arange(len(ids)) < k) & (scores >= reach.least)
            known &= is_near | (scores >= min(reach.all_from, reach.similar))
            is_compared = is_near | (scores >= reach.all_from)
            found.append(
                (np.repeat(picture, known.sum()), others[known], scores[known], is_compared[known])
            )
        return found

    asking = images.ids[images.first]
    batches = [asking[start : start + _BATCH] for start in range(0, len(asking), _BATCH)]
    found, done = list[Found](), 0
    for part in workers.map(ask, batches):
        found += part
        done = min(done + _BATCH, len(asking))
        progress(done, len(asking))
    return found


def _sorted_out(found: list[Found], reach: Reach) -> tuple[Pairs, Pairs]:
    """Return the pairs to compare, and the similar ones, of parts with a flag for the former."""
    compared = [(one[chosen], other[chosen], score[chosen]) for one, other, score, chosen in found]
    similar = [
        (one[chosen], other[chosen], score[chosen])
        for one, other, score, _ in found
        if (chosen := score >= reach.similar).any()
    ]
    return unique_pairs(compared), unique_pairs(similar)


def _nearest(
    searcher: Searcher, embedding: FloatArray, k: int, enough: float
) -> tuple[Numbers, Scores]:
    """Return ids and similarities of the k nearest, of more where even the last is near enough."""
    while True:
        matches = searcher.search(Asked(embedding, SearchOptions(k=k)), Trace()).matches
        if len(matches) < k or matches[-1].similarity < enough or k >= MOST:
            break
        k = min(4 * k, MOST)
    ids = np.array([match.id for match in matches], np.int64)
    return ids, np.array([match.similarity for match in matches])


def _among_all(
    index: IndexStore, images: Images, reach: Reach, progress: Progress
) -> tuple[Pairs, Pairs]:
    """The same by comparing all with one another."""
    ids, embeddings = read_usable(index.table, images.ids[images.first])
    pictures, found = images.pictures_of(ids), []
    is_few = len(ids) < _FEW and np.isfinite(reach.least)
    floor = min(reach.similar, reach.all_from)
    for near in all_near(
        embeddings,
        index.table.metric,
        k=len(ids) if is_few else min(K, len(ids)),
        least=reach.least,
        all_from=floor,
        most=MOST,
    ):
        is_compared = near.is_nearest | (near.similarity >= reach.all_from)
        one, other = pictures[near.rows], pictures[near.columns]
        found.append((one, other, near.similarity, is_compared))
        progress(near.done, len(ids))
    return _sorted_out(found, reach)
