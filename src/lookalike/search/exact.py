"""Exact search: compare every embedding, or those of all matching rows."""

import numpy as np

from lookalike.core.types import Match
from lookalike.core.vectors import FloatArray, ids_array, pack, similarity, unpack
from lookalike.database.table import VectorTable
from lookalike.dialects import Filter, Statement
from lookalike.search.options import SearchOptions
from lookalike.search.ranking import best, clamp, matches_of
from lookalike.search.trace import Trace

_SCAN_BATCH = 4096


def exact_statement(
    table: VectorTable, query: FloatArray, options: SearchOptions, where: Filter | None
) -> Statement:
    """Return the statement that ranks on the server, or else reads the rows to rank here."""
    if table.dialect.ranks(table.metric):
        return table.dialect.nearest(
            table, table.metric, pack(query), options.k, options.floor, where
        )
    return table.dialect.all_rows(table, where)


def search_exactly(
    table: VectorTable,
    query: FloatArray,
    options: SearchOptions,
    where: Filter | None,
    trace: Trace,
) -> list[Match]:
    """Return the k nearest rows, ranked by the server if it can, otherwise streamed and ranked."""
    statement = exact_statement(table, query, options, where)
    if table.dialect.ranks(table.metric):
        with trace.step("rank on the server", statement) as touched:
            rows = table.connection.query(statement)
            touched.rows = len(rows)
        found = [
            Match(row_id, name or "", clamp(score, table.metric))
            for row_id, name, score in rows
            if score is not None
        ]
        return sorted(found, key=lambda match: (-match.similarity, match.id))
    what = "every embedding" if where is None else "all matching rows"
    with trace.step(f"rank {what}", statement) as touched:
        matches, touched.rows = _scan(table, statement, query, options.k)
    return matches


def _scan(
    table: VectorTable, statement: Statement, query: FloatArray, k: int
) -> tuple[list[Match], int]:
    """Return the best rows, best first, and the number of rows read."""
    ids, scores, seen = np.empty(0, np.int64), np.empty(0, np.float64), 0
    names: dict[int, str | None] = {}
    for rows in table.connection.stream(statement, batch=_SCAN_BATCH):
        embeddings = unpack([row[1] for row in rows], query.size)
        ids = np.concatenate([ids, ids_array(row[0] for row in rows)])
        scores = np.concatenate([scores, similarity(query, embeddings, table.metric)])
        ids, scores = best(ids, scores, k)
        names |= {row[0]: row[2] for row in rows}
        names = {row_id: names[row_id] for row_id in ids.tolist()}
        seen += len(rows)
    return matches_of(ids, scores, names), seen
