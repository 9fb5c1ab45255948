"""How MariaDB ranks, and the vector index of its own."""

from lookalike.dialects.base import SERVER_INDEX
from lookalike.dialects.hnsw import LEAST_CANDIDATES
from lookalike.dialects.spider import SpiderSQL
from lookalike.dialects.statement import Statement
from lookalike.dialects.table import Table
from lookalike.dialects.tables.filters import Filter, and_

FUNCTION = {"cosine": "VEC_DISTANCE_COSINE", "euclidean": "VEC_DISTANCE_EUCLIDEAN"}
EDGES = 16
"""M: with the server's own defaults, 6, and 20 candidates, recall is .83 instead of .997."""
_SIMILARITY, SHORTEST = {"cosine": "1 - ", "euclidean": "-"}, 1e-17


class MariaDBRanking(SpiderSQL):
    """Statements that rank, and those on the index; on all shards of a spread table."""

    def ranks(self, metric: str) -> bool:
        return metric in FUNCTION

    def similarity(self, embedding: str, metric: str, query: bytes) -> Statement:
        if metric == "euclidean":
            return Statement(f"-VEC_DISTANCE_EUCLIDEAN({embedding}, %s)", (query,))
        length, zeros = f"VEC_DISTANCE_EUCLIDEAN({embedding}, %s)", bytes(len(query))
        # The server says that zeros are as near as can be, and fails for what is almost zero.
        cosine = f"1 - IF({length} > {SHORTEST}, VEC_DISTANCE_COSINE({embedding}, %s), NULL)"
        if metric == "cosine":
            return Statement(f"GREATEST(LEAST({cosine}, 1), -1)", (zeros, query))
        product = f"COALESCE({cosine}, 0) * {length} * VEC_DISTANCE_EUCLIDEAN(%s, %s)"
        return Statement(product, (zeros, query, zeros, query, zeros))

    # The server's own index.

    def vector_type(self, dim: int) -> str:
        return f"VECTOR({dim:d}) NOT NULL"  # an index takes no NULL

    def server_indexes(self, table: Table) -> Statement:
        is_this, names = table.is_this
        return Statement(
            "SELECT DISTINCT index_name FROM information_schema.statistics "
            f"WHERE {is_this} AND index_type = 'VECTOR'",
            names,
        )

    def create_server_index(self, table: Table, metric: str) -> list[Statement]:
        made = f"{SERVER_INDEX} ({table.embedding}) M={EDGES} DISTANCE={metric}"
        if table.shards:
            return self.on_shards(table, f"ADD VECTOR INDEX IF NOT EXISTS {made}")
        return [Statement(f"ALTER TABLE {table.sql} ADD VECTOR INDEX {made}")]

    def drop_server_index(self, table: Table) -> list[Statement]:
        if table.shards:
            return self.on_shards(table, f"DROP INDEX IF EXISTS {SERVER_INDEX}")
        return [Statement(f"ALTER TABLE {table.sql} DROP INDEX {SERVER_INDEX}")]

    def nearest(
        self,
        table: Table,
        metric: str,
        query: bytes,
        k: int,
        where: Filter | None = None,
        *,
        exact: bool = False,
        embedding: bool = False,
    ) -> Statement:
        distance = f"{FUNCTION[metric]}({table.embedding}, %s)"
        passing = and_(where)
        read = f", {self.embedding_bytes(table)}" if embedding else ""
        zeros = (bytes(len(query)),) if metric == "cosine" else ()  # they have no cosine
        length = f"VEC_DISTANCE_EUCLIDEAN({table.embedding}, %s)"
        nonzero = f" AND {length} > {SHORTEST}" if zeros else ""
        # The index serves only this form of ORDER BY; a tiebreaker makes the server compare all.
        order = f"{distance}, {table.id}" if exact or where else distance
        is_indexed = not (exact or where)
        # Shards have settings of their own, but each searches at least as wide as its LIMIT.
        most = max(2 * k, LEAST_CANDIDATES) if table.shards and is_indexed else k
        found = Statement(
            f"SELECT {table.id} AS id, {table.image_name()} AS image_name, "
            f"{_SIMILARITY[metric]}{distance} AS similarity{read} FROM {table.sql} AS v "
            f"WHERE {table.embedding} IS NOT NULL{nonzero}{passing.sql} ORDER BY {order} LIMIT %s",
            (query, *zeros, *passing.params, query, most),
        )
        if most == k:
            return found
        return Statement(
            f"SELECT * FROM ({found.sql}) AS w ORDER BY similarity DESC LIMIT %s",
            (*found.params, k),
        )

    def widened(self, statement: Statement, n_candidates: int) -> Statement:
        wide = f"SET STATEMENT mhnsw_ef_search = {n_candidates:d} FOR {statement.sql}"
        return Statement(wide, statement.params)
