"""MariaDB 11.7 and newer: a VECTOR type, distances, and a vector index of its own."""

from collections.abc import Sequence
from typing import ClassVar

from lookalike.dialects.base import Dialect
from lookalike.dialects.hnsw import LEAST_CANDIDATES
from lookalike.dialects.mariadb_ranking import EDGES, FUNCTION, SHORTEST, MariaDBRanking
from lookalike.dialects.primitives import Lock
from lookalike.dialects.statement import Statement, places
from lookalike.dialects.table import Table
from lookalike.dialects.tables.attributes import MAX_TEXT
from lookalike.dialects.tables.cells import CellsSQL
from lookalike.dialects.tables.filters import Filter


class MariaDB(MariaDBRanking, CellsSQL, Dialect):
    """MariaDB: the server ranks by cosine and euclidean, the client by dot."""

    name = "mariadb"
    scheme = "mariadb"
    has_nearest = True
    needs_index = False
    instead_of_functions = "rank with VEC_DISTANCE_COSINE(a, b) or VEC_DISTANCE_EUCLIDEAN(a, b)"
    has_vector_results = False
    max_dim = 16100  # a row has at most 65,535 bytes, its embedding and name included
    session_settings: ClassVar[dict[str, int]] = {"mhnsw_ef_search": LEAST_CANDIDATES}
    lengths = (SHORTEST, 1e18)  # their squares are float32 numbers
    needs_embeddings = True
    unindexed_kinds = frozenset({"text", "number", "list"})
    indexed_metrics = frozenset(FUNCTION)
    server_index_edges = EDGES
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
