"""Neighbours of many pictures by the index in memory, those of neighbouring pictures at a time.

Pictures of one cell share neighbours. So a batch of them has few candidates, each is read once for
the batch, and all are compared by one product of matrices.
"""

from concurrent.futures import Executor
from math import pi, sqrt
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from lookalike.core.progress import Progress
from lookalike.core.threads import one_thread
from lookalike.core.vectors import FloatArray
from lookalike.database.table import VectorTable
from lookalike.duplicates.nearest import all_near
from lookalike.duplicates.pictures import Images, Numbers
from lookalike.index.memory import MemoryIndex
from lookalike.search.options import SearchOptions

Scores = npt.NDArray[np.float64]

Found = tuple[Numbers, Numbers, Scores, npt.NDArray[np.bool_]]
"""Pairs of pictures, their similarities, and whether they are to be compared: shape (n,) each."""

K = 10
"""Neighbours that a picture asks for, besides its own copies."""

MOST = 640
"""Where all of them are similar enough there may be more, up to so many."""

BATCH, _ROWS = 1024, 500
MOST_CANDIDATES = 2**20
"""Of queries that are asked at once."""

_ERRORS = 4
"""A cosine's estimate is taken to be at most so many standard errors too low."""


class Reach(NamedTuple):
    """From which similarity on pairs are wanted.

    least: of the K nearest of a picture; all_from: of all others. Such pairs are compared. similar:
    of the pairs that are similar, infinite where these are not wanted.
    """

    least: float
    all_from: float
    similar: float


def read_usable(table: VectorTable, ids: Numbers) -> tuple[Numbers, FloatArray]:
    """Return those of the ids that have a direction, and their embeddings (n, dim)."""
    starts = range(0, max(len(ids), 1), _ROWS)
    parts = [table.usable_embeddings(ids[start : start + _ROWS].tolist()) for start in starts]
    found, embeddings = zip(*parts, strict=True)
    return np.concatenate(found), np.concatenate(embeddings)


def neighbours_in_memory(
    table: VectorTable,
    memory: MemoryIndex,
    images: Images,
    reach: Reach,
    workers: Executor,
    progress: Progress,
    *,
    batch: int = BATCH,
    most_candidates: int = MOST_CANDIDATES,
) -> list[Found]:
    """Return the pairs of near pictures, some of them twice; progress: in pictures."""
    search = _Neighbours(table, memory, images, reach, most_candidates)
    asking = _by_cell(memory, images.ids[images.first])
    batches = [asking[start : start + batch] for start in range(0, len(asking), batch)]
    found, done = list[Found](), 0
    with one_thread():
        for part in workers.map(search.of, batches):
            found += part
            done = min(done + batch, len(asking))
            progress(done, len(asking))
    return found


def _by_cell(memory: MemoryIndex, ids: Numbers) -> Numbers:
    """Return ids in the order of their cells; last those that have no code."""
    coded = np.concatenate(list(memory.ids_by_cell()))
    coded = coded[np.sort(np.unique(coded, return_index=True)[1])]
    coded = coded[np.isin(coded, ids)]
    return np.concatenate([coded, np.setdiff1d(ids, coded)])


class _Neighbours:
    """Looks for the neighbours of batches of pictures; threads may share it."""

    def __init__(
        self,
        table: VectorTable,
        memory: MemoryIndex,
        images: Images,
        reach: Reach,
        most_candidates: int,
    ) -> None:
        self._table, self._memory, self._images, self._reach = table, memory, images, reach
        self._most_candidates = most_candidates
        self._copies = np.bincount(images.picture)
        self._floor = min(reach.similar, reach.all_from)
        self._least_estimate = -np.inf
        if table.metric == "cosine":
            # Of vectors of length 1 at most: see `codes` for the error.
            error = sqrt(pi / 2 - 1) / sqrt(memory.index.centroids.shape[1])
            self._least_estimate = min(self._floor, reach.least) - _ERRORS * error

    def of(self, row_ids: Numbers) -> list[Found]:
        """Return the pairs of these rows' pictures with others."""
        ids, embeddings = read_usable(self._table, row_ids)
        if not ids.size:
            return []
        near = self._candidates(embeddings, self._copies[self._images.pictures_of(ids)])
        others, more = read_usable(self._table, np.setdiff1d(self._representatives(near), ids))
        pictures = self._images.pictures_of(np.concatenate([ids, others]))
        found = []
        for block in all_near(
            np.concatenate([embeddings, more]),
            self._table.metric,
            k=min(K, len(pictures)),
            least=self._reach.least,
            all_from=self._floor,
            most=MOST,
            first=len(ids),
        ):
            is_compared = block.is_nearest | (block.similarity >= self._reach.all_from)
            one, other = pictures[block.rows], pictures[block.columns]
            found.append((one, other, block.similarity, is_compared))
        return found

    def _representatives(self, ids: Numbers) -> Numbers:
        """Return the first image of each one's picture, each once; others are no images."""
        pictures = np.unique(self._images.pictures_of(ids))
        return self._images.ids[self._images.first[pictures[pictures >= 0]]]

    def _candidates(self, embeddings: FloatArray, copies: Numbers) -> Numbers:
        """Return ids of rows that may be near one of the embeddings, each with its own copies.

        An embedding whose k nearest are all near enough asks for more.
        """
        found, asking, k = [self._memory.tail], np.arange(len(embeddings)), K + 1
        while asking.size:
            rows = min(SearchOptions(k=k).rescored(self._memory.index), len(self._memory))
            is_short, step = np.zeros(asking.size, np.bool_), max(1, self._most_candidates // rows)
            for start in range(0, asking.size, step):
                part = slice(start, start + step)
                ids, estimates = self._memory.candidates(embeddings[asking[part]], rows=rows)
                found.append(np.unique(ids[(ids >= 0) & (estimates >= self._least_estimate)]))
                is_short[part] = estimates[:, min(k, rows) - 1] >= self._floor
            wanted = K + copies[asking]
            asking = asking[(is_short & (k < MOST)) | (wanted > k)]
            if rows == len(self._memory):
                break
            k *= 4
        return np.unique(np.concatenate(found))
