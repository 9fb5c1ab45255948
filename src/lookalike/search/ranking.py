"""Rank rows by exact similarity, ties by id."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from lookalike.core.types import Match, Metric
from lookalike.core.vectors import FloatArray, ids_array, similarity, unpack
from lookalike.database.connection import Row
from lookalike.index.ivf import Index
from lookalike.search.options import SearchOptions

_ENOUGH_ALIVE = 0.75


def rank(query: FloatArray, rows: Sequence[Row], k: int, metric: Metric) -> list[Match]:
    """Return the k best of rows (id, name, embedding's bytes, ...); a row may occur twice."""
    names = {row[0]: row[1] for row in rows}
    ids = ids_array(row[0] for row in rows)
    scores = similarity(query, unpack([row[2] for row in rows], query.size), metric)
    ids, first = np.unique(ids, return_index=True)
    ids, scores = best(ids, scores[first], k)
    return matches_of(ids, scores, names)


def best(
    ids: npt.NDArray[np.int64], scores: npt.NDArray[np.float64], k: int
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float64]]:
    """Return the k best, ties by id, without all-zero rows, which have no cosine."""
    known = ~np.isnan(scores)
    ids, scores = ids[known], scores[known]
    order = np.lexsort((ids, -scores))[:k]
    return ids[order], scores[order]


def matches_of(
    ids: npt.NDArray[np.int64], scores: npt.NDArray[np.float64], names: dict[int, str | None]
) -> list[Match]:
    """Return matches for ids and similarities, in their order."""
    return [
        Match(row_id, names[row_id] or "", score)
        for row_id, score in zip(ids.tolist(), scores.tolist(), strict=True)
    ]


class Found(NamedTuple):
    """Results of a search. plan: how it was executed. has_paths: whether they have their paths."""

    plan: str
    matches: list[Match]
    has_paths: bool = False


def is_settled(options: SearchOptions, index: Index, found: int, coded: int, alive: int) -> bool:
    """Whether a shortlist answered a search; otherwise it has to look further.

    found: results. coded: codes in the shortlist. alive: those of them whose rows exist: codes of
    rows that other programs deleted fill it.
    """
    is_enough = alive == coded or alive >= _ENOUGH_ALIVE * options.rescored(index)
    return found == options.k and is_enough


def above(matches: list[Match], options: SearchOptions) -> list[Match]:
    """Return the matches that reach the requested similarity."""
    least = options.floor
    return matches if least is None else [m for m in matches if m.similarity >= least]


def clamp(score: float, metric: Metric) -> float:
    """Return a similarity without a cosine's rounding error."""
    return max(-1.0, min(1.0, score)) if metric == "cosine" else float(score)


def ordered(
    matches: Sequence[Match], values: Mapping[int, Any], *, is_descending: bool
) -> list[Match]:
    """Return matches in the order of values by id, ties as they come; those without come last.

    Of values of several kinds, numbers come before texts and lists.
    """
    known = [match for match in matches if match.id in values]
    known.sort(key=lambda match: _key(values[match.id]), reverse=is_descending)
    return known + [match for match in matches if match.id not in values]


def _key(value: Any) -> tuple[int, Any]:
    if isinstance(value, list):
        return 2, [str(item) for item in value]
    return (1, value) if isinstance(value, str) else (0, value)
