"""The nearest stored embeddings of a query embedding."""

import numpy as np

from lookalike.connection import Connection
from lookalike.dialects import Dialect, Statement
from lookalike.errors import InputError
from lookalike.types import Match
from lookalike.vectors import FloatArray, cosine_similarity, pack, unpack

MAX_K = 10_000
_SCAN_BATCH = 4096


def check_k(k: int) -> None:
    """Raise InputError unless k, the number of results asked for, is 1 to MAX_K."""
    if not 1 <= k <= MAX_K:
        raise InputError(f"k is {k}; ask for 1 to {MAX_K:,} results")


def search_statement(
    dialect: Dialect, table: str, query: FloatArray, k: int, min_similarity: float | None
) -> Statement:
    """Return the statement that `nearest` runs first (and, where the server ranks, alone)."""
    check_k(k)
    if dialect.has_distance:
        return dialect.nearest(table, pack(query), k, min_similarity)
    return dialect.all_embeddings(table)


def nearest(
    connection: Connection,
    dialect: Dialect,
    table: str,
    query: FloatArray,
    k: int,
    min_similarity: float | None,
) -> list[Match]:
    """Return the k rows nearest to query, shape (dim,), by cosine: best first, ties by id.

    Exact: the server ranks where it has a DISTANCE of its own, otherwise all embeddings are
    streamed and ranked here, in memory bounded by k.
    """
    statement = search_statement(dialect, table, query, k, min_similarity)
    if dialect.has_distance:
        matches = [
            Match(row_id, name or "", float(np.clip(similarity, -1.0, 1.0)))
            for row_id, name, similarity in connection.query(statement)
            if similarity is not None
        ]
        return sorted(matches, key=lambda match: (-match.similarity, match.id))
    ids, similarities = _scan(connection, statement, query, k)
    if min_similarity is not None:
        ids = ids[similarities >= min_similarity]
    if not ids.size:
        return []
    names: dict[int, str | None] = dict(connection.query(dialect.records(table, ids.tolist())))
    return [
        Match(row_id, names[row_id] or "", similarity)
        for row_id, similarity in zip(ids.tolist(), similarities.tolist(), strict=False)
        if row_id in names  # unless deleted since the scan
    ]


def _scan(
    connection: Connection, statement: Statement, query: FloatArray, k: int
) -> tuple[
    "np.ndarray[tuple[int], np.dtype[np.int64]]", "np.ndarray[tuple[int], np.dtype[np.float64]]"
]:
    """Return ids and similarities of the k best of the statement's (id, bytes) rows, best first."""
    ids = np.empty(0, np.int64)
    best = np.empty(0, np.float64)
    for rows in connection.stream(statement, batch=_SCAN_BATCH):
        embeddings = unpack([row[1] for row in rows], query.size)
        ids = np.concatenate([ids, np.array([row[0] for row in rows], np.int64)])
        best = np.concatenate([best, cosine_similarity(query, embeddings)])
        order = np.lexsort((ids, -best))[:k]  # NaN, an all-zero row's, sorts last
        ids, best = ids[order], best[order]
    known = ~np.isnan(best)
    return ids[known], best[known]
