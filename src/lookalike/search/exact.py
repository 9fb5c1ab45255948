"""Exact search: compare every embedding, or those of all matching rows."""

import numpy as np

from lookalike.core.errors import InputError
from lookalike.core.types import Match
from lookalike.core.vectors import (
    FloatArray,
    check_lengths,
    ids_array,
    pack,
    similarity,
    unpack,
)
from lookalike.database.table import VectorTable
from lookalike.dialects import Filter, Statement
from lookalike.dialects.hnsw import candidates
from lookalike.index.ivf import comparable
from lookalike.index.store import IndexStore
from lookalike.search.options import SearchOptions
from lookalike.search.ranking import best, matches_of, rank
from lookalike.search.trace import Trace

_SCAN_BATCH = 4096
_ALL = 2**63 - 1


def exact_statement(
    table: VectorTable, query: FloatArray, options: SearchOptions, where: Filter | None
) -> Statement:
    """Return the statement that ranks on the server, or else reads the rows to rank here."""
    dialect, metric = table.dialect, table.metric
    if dialect.ranks(table.metric):
        return dialect.nearest(
            table, metric, pack(comparable(query, metric)), options.k, where, exact=options.exact
        )
    return dialect.all_rows(table, where)


def search_exactly(
    store: IndexStore,
    query: FloatArray,
    options: SearchOptions,
    where: Filter | None,
    trace: Trace,
) -> list[Match]:
    """Return the k nearest rows, ranked by the server if it can, otherwise streamed and ranked.

    A server that has an index of its own uses it, except for filters and if `exact` is asked for.
    """
    table = store.table
    if table.dialect.ranks(table.metric):
        return _ranked_by_server(store, query, options, where, trace)
    statement = exact_statement(table, query, options, where)
    what = "every embedding" if where is None else "all matching rows"
    with trace.step(f"rank {what}", statement) as touched:
        matches, touched.rows = _scan(table, statement, query, options.k)
    return matches


def _ranked_by_server(
    store: IndexStore,
    query: FloatArray,
    options: SearchOptions,
    where: Filter | None,
    trace: Trace,
) -> list[Match]:
    """Return the k rows that the server ranks first, with similarities computed here in float64."""
    table, k, metric = store.table, options.k, store.table.metric
    dialect = table.dialect
    query_of_server = comparable(query, metric)
    check_lengths(query_of_server[np.newaxis], dialect.lengths, dialect.name)
    asked = pack(query_of_server)
    if table.shards and where is not None:
        where = _passing(table, where, trace)
    has_index = metric in dialect.indexed_metrics or dialect.has_automatic_index
    may_miss = has_index and where is None and not options.exact
    if may_miss and table.shards and options.oversampling is not None:
        raise InputError(
            "oversampling cannot be set on a spread collection: its shards search as wide as they "
            "are set to; leave it out"
        )
    for exact in (False, True) if may_miss else (True,):
        statement = dialect.nearest(table, metric, asked, k, where, exact=exact, embedding=True)
        asked_for = statement
        if not exact:
            kept = candidates(k, store.rough_size(), options.oversampling)
            asked_for = dialect.widened(statement, kept)
        with trace.step("rank on the server", statement) as touched:
            rows = table.connection.query(dialect.pushed(table, asked_for))
            touched.rows = len(rows)
        found = rank(query, [(row[0], row[1], row[3]) for row in rows], k, metric)
        if len(found) == k:
            break  # an index that has lost rows may return fewer, and rows of zeros are none
    return found


def _passing(table: VectorTable, where: Filter, trace: Trace) -> Filter:
    """Return a filter by the ids of the rows that pass, which shards can check."""
    statement = table.dialect.matching_ids(table, where, _ALL)
    with trace.step("find all matching rows", statement) as touched:
        ids = [row[0] for row in table.connection.query(statement)]
        touched.rows = len(ids)
    # Literals: binding thousands would take longer than the statement. One id alone would be read
    # first, and its embedding then sent to the shard as text; no id is negative.
    literals = ",".join(f"{row_id:d}" for row_id in (*ids, -1, -2))
    return Filter(f"v.{table.id} IN ({literals})", ())


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
