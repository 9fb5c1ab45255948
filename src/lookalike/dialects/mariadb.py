"""MariaDB 11.7 and newer: a VECTOR type, distances, and a vector index of its own."""

from collections.abc import Sequence
from typing import ClassVar

from lookalike.dialects.base import SERVER_INDEX, Dialect
from lookalike.dialects.hnsw import LEAST_CANDIDATES
from lookalike.dialects.primitives import Lock
from lookalike.dialects.spider import SpiderSQL
from lookalike.dialects.statement import Statement, places
from lookalike.dialects.table import Table
from lookalike.dialects.tables.attributes import MAX_TEXT
from lookalike.dialects.tables.cells import CellsSQL
from lookalike.dialects.tables.filters import Filter, and_

_FUNCTION = {"cosine": "VEC_DISTANCE_COSINE", "euclidean": "VEC_DISTANCE_EUCLIDEAN"}
_EDGES = 16
"""M: with the server's own defaults, 6, and 20 candidates, recall is .83 instead of .997."""
_SIMILARITY, _SHORTEST = {"cosine": "1 - ", "euclidean": "-"}, 1e-17


class MariaDB(CellsSQL, SpiderSQL, Dialect):
    """MariaDB: the server ranks by cosine and euclidean, the client by dot."""

    name = "mariadb"
    scheme = "mariadb"
    has_nearest = True
    needs_index = False
    instead_of_functions = "rank with VEC_DISTANCE_COSINE(a, b) or VEC_DISTANCE_EUCLIDEAN(a, b)"
    has_vector_results = False
    max_dim = 16100  # a row has at most 65,535 bytes, its embedding and name included
    session_settings: ClassVar[dict[str, int]] = {"mhnsw_ef_search": LEAST_CANDIDATES}
    lengths = (_SHORTEST, 1e18)  # their squares are float32 numbers
    needs_embeddings = True
    unindexed_kinds = frozenset({"text", "number", "list"})
    indexed_metrics = frozenset(_FUNCTION)
    server_index_edges = _EDGES
    exact_collation = "utf8mb4_nopad_bin"
    folding_collation = "utf8mb4_uca1400_nopad_ai_ci"
    computed_key = "UNIQUE"
    removes_by_patch = False  # 11.8.9 leaves others as they were after the first key is removed
    visible_index = "ignored = 'NO'"
    locks: ClassVar[dict[Lock, str]] = {
        "": "",
        "share": "LOCK IN SHARE MODE",
        "share nowait": "LOCK IN SHARE MODE NOWAIT",
        "update": "FOR UPDATE",
        "update nowait": "FOR UPDATE NOWAIT",
    }

    def probes(self) -> list[Statement]:
        one, three = "VEC_FromText('[1]')", "VEC_FromText('[3]')"
        return [Statement(f"SELECT VEC_DISTANCE_EUCLIDEAN({one}, {three}) = 2")]

    def analyze(self, statement: Statement) -> Statement:
        return Statement(f"ANALYZE FORMAT=JSON {statement.sql}", statement.params)

    def values_table(self, name: str, columns: Sequence[str], n_rows: int) -> str:
        rows = ", ".join([f"({places(len(columns))})"] * n_rows)
        return f"(VALUES {rows}) AS {name} ({', '.join(columns)})"

    def json_value(self, column: str, path: str, type_: str) -> str:
        value = f"JSON_VALUE({column}, {path})"
        if type_ == "DOUBLE":
            return f"CAST({value} AS DOUBLE)"
        # JSON_VALUE makes 1 of true.
        whole = f"JSON_EXTRACT({column}, {path})"
        text = f"IF(JSON_TYPE({whole}) = 'BOOLEAN', {whole}, {value})"
        return f"LEFT({text}, {MAX_TEXT}) COLLATE {self.exact_collation}"

    def json_items(self, value: str) -> str:
        # A path of JSON_TABLE finds nothing in what is no list, and knows no `to`.
        return f"IF(JSON_TYPE({value}) = 'ARRAY', {value}, CONCAT('[', {value}, ']')), '$[*]'"

    def json_contains(self, array: str) -> str:
        return f"JSON_CONTAINS({array}, JSON_QUOTE(%s))"

    def table_columns(self, table: Table) -> Statement:
        # JSON is a LONGTEXT with a check of the column's name.
        is_this, names = table.is_this
        return Statement(
            "SELECT column_name, IF(EXISTS (\n"
            "    SELECT 1 FROM information_schema.check_constraints AS k\n"
            "    WHERE k.constraint_schema = c.table_schema AND k.table_name = c.table_name\n"
            "    AND k.constraint_name = c.column_name AND k.check_clause LIKE 'json_valid(%%'\n"
            "), 'json', column_type) FROM information_schema.columns AS c\n"
            f"WHERE {is_this} ORDER BY ordinal_position",
            names,
        )

    def explain_filter(self, table: Table, where: Filter) -> Statement:
        sql, params = super().explain_filter(table, where)
        return Statement(sql.replace("FORMAT=TRADITIONAL", "PARTITIONS", 1), params)  # its columns

    def ranks(self, metric: str) -> bool:
        return metric in _FUNCTION

    def similarity(self, embedding: str, metric: str, query: bytes) -> Statement:
        if metric == "euclidean":
            return Statement(f"-VEC_DISTANCE_EUCLIDEAN({embedding}, %s)", (query,))
        length, zeros = f"VEC_DISTANCE_EUCLIDEAN({embedding}, %s)", bytes(len(query))
        # The server says that zeros are as near as can be, and fails for what is almost zero.
        cosine = f"1 - IF({length} > {_SHORTEST}, VEC_DISTANCE_COSINE({embedding}, %s), NULL)"
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
        made = f"{SERVER_INDEX} ({table.embedding}) M={_EDGES} DISTANCE={metric}"
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
        distance = f"{_FUNCTION[metric]}({table.embedding}, %s)"
        passing = and_(where)
        read = f", {self.embedding_bytes(table)}" if embedding else ""
        zeros = (bytes(len(query)),) if metric == "cosine" else ()  # they have no cosine
        length = f"VEC_DISTANCE_EUCLIDEAN({table.embedding}, %s)"
        nonzero = f" AND {length} > {_SHORTEST}" if zeros else ""
        # The index serves only this form of ORDER BY; a tiebreaker makes the server compare all.
        order = f"{distance}, {table.id}" if exact or where else distance
        is_indexed = not (exact or where)
        # Shards have settings of their own, but each searches at least as wide as its LIMIT.
        most = max(k, LEAST_CANDIDATES) if table.shards and is_indexed else k
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
