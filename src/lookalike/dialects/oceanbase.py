"""OceanBase 4.3.5 and newer, and seekdb: a VECTOR type, distances, a vector index."""

from typing import ClassVar

from lookalike.dialects.base import SERVER_INDEX, Dialect
from lookalike.dialects.primitives import Lock
from lookalike.dialects.statement import Statement
from lookalike.dialects.table import Table
from lookalike.dialects.tables.cells import CellsSQL
from lookalike.dialects.tables.filters import Filter, and_

_FUNCTION = {
    "cosine": "cosine_distance",
    "euclidean": "l2_distance",
    "dot": "negative_inner_product",
}
_INDEXED_BY = {"cosine": "cosine", "euclidean": "l2"}
"""An index by inner product finds 97 of 100 even if it searches all of a small table."""
_SIMILARITY = {"cosine": "1 - ", "euclidean": "-", "dot": "-"}
_EDGES, _SEARCHED_TO_BUILD, _SEARCHED = 16, 200, 200
_DAY = 86_400_000_000
_LOCK_WAIT = 50_000_000
"""In microseconds. By default a statement may run 10 seconds."""


class OceanBase(CellsSQL, Dialect):
    """OceanBase: the server ranks by each metric; it sends vectors as text."""

    name = "oceanbase"
    scheme = "oceanbase"
    has_nearest = True
    needs_index = False
    instead_of_functions = "rank with cosine_distance(a, '[...]'), l2_distance or inner_product"
    has_vector_results = False
    sends_text = True
    has_explain_table = has_checksums = False
    lengths = (1e-15, 1e18)  # it computes in float32, and fails for what is beyond
    max_dim = 16000
    indexed_metrics = frozenset(_INDEXED_BY)
    server_index_edges = _EDGES
    unindexed_kinds = frozenset({"list"})  # such an index cannot be added to a table
    session_settings: ClassVar[dict[str, int]] = {
        "ob_query_timeout": _DAY,
        "ob_trx_lock_timeout": _LOCK_WAIT,
        "ob_hnsw_ef_search": _SEARCHED,
    }
    exact_collation = "utf8mb4_bin"
    folding_collation = "utf8mb4_general_ci"
    ascii = "CHARACTER SET utf8mb4"
    computed_key = "UNIQUE"
    view_security = ""  # it knows none
    column_type = "IF(LEFT(column_type, 7) = 'VECTOR(', LOWER(column_type), column_type)"
    locks: ClassVar[dict[Lock, str]] = {
        "": "",
        "share": "LOCK IN SHARE MODE",
        # LOCK IN SHARE MODE has no NOWAIT.
        "share nowait": "FOR UPDATE NOWAIT",
        "update": "FOR UPDATE",
        "update nowait": "FOR UPDATE NOWAIT",
    }

    def probes(self) -> list[Statement]:
        # Without array_map, new in 4.3.5, vectors come with six digits only.
        doubled = "array_map((x) -> CAST(x AS DOUBLE), [1])"
        return [
            Statement("SELECT l2_distance('[1]', '[3]') = 2"),
            Statement("SELECT negative_inner_product('[1]', '[3]') = -3"),
            Statement(f"SELECT array_to_string({doubled}, ',') = '1'"),
        ]

    def analyze(self, statement: Statement) -> Statement:
        return Statement(f"EXPLAIN {statement.sql}", statement.params)

    def vector_bytes(self, column: str) -> str:
        # A text of float32 numbers has six digits, and one of DOUBLE as many as it takes.
        doubles = f"array_map((x) -> CAST(x AS DOUBLE), {column})"
        return f"array_to_string({doubles}, ',')"

    # A text in utf8mb4_bin equals the same text with spaces after it.

    def json_value(self, column: str, path: str, type_: str) -> str:
        value = super().json_value(column, path, type_)
        return value if type_ == "DOUBLE" else self.exact(value)

    def exact(self, text: str) -> str:
        return f"CAST({text} AS BINARY)"

    def folded(self, text: str) -> str:
        return f"CONVERT({text} USING utf8mb4) COLLATE {self.folding_collation}"

    def several_primaries(self) -> Statement:
        return Statement("SELECT 1 FROM DUAL WHERE 1 = 0")  # its variables are not MySQL's

    def similarity(self, embedding: str, metric: str, query: bytes) -> Statement:
        return Statement(f"{_SIMILARITY[metric]}{_FUNCTION[metric]}({embedding}, %s)", (query,))

    def sent_vector(self, column: str) -> str:
        return f"CONCAT('[', {column}, ']')"

    def server_indexes(self, table: Table) -> Statement:
        is_this, names = table.is_this
        return Statement(
            "SELECT DISTINCT index_name FROM information_schema.statistics AS i\n"
            f"WHERE {is_this} AND (index_type = 'VECTOR' OR EXISTS (\n"
            "    SELECT 1 FROM information_schema.statistics AS part\n"
            "    WHERE part.table_schema = i.table_schema AND part.table_name = i.table_name\n"
            "    AND part.index_name = CONCAT(i.index_name, '_index_snapshot_data_table')\n"
            "))",
            names,
        )

    def create_server_index(self, table: Table, metric: str) -> list[Statement]:
        made = Statement(
            f"CREATE VECTOR INDEX {SERVER_INDEX} ON {table.sql} ({table.embedding}) WITH ("
            f"distance={_INDEXED_BY[metric]}, type=hnsw, lib=vsag, m={_EDGES}, "
            f"ef_construction={_SEARCHED_TO_BUILD}, ef_search={_SEARCHED})"
        )
        return [made]

    def drop_server_index(self, table: Table) -> list[Statement]:
        return [Statement(f"DROP INDEX {SERVER_INDEX} ON {table.sql}")]

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
        read = f", {self.embedding_bytes(table)} AS embedding" if embedding else ""
        # Only APPROXIMATE uses the index: then with one value to order by, and without conditions.
        uses_index = metric in _INDEXED_BY and not (exact or where)
        needed = f"WHERE {distance} IS NOT NULL{passing.sql}"  # no cosine of zeros
        order = f"{distance} APPROXIMATE" if uses_index else f"{distance}, {table.id}"
        ranked = (
            f"SELECT {table.id} AS id, {table.image_name()} AS image_name, "
            f"{_SIMILARITY[metric]}{distance} AS similarity{read} FROM {table.sql} AS v "
            f"{'' if uses_index else needed} ORDER BY {order} LIMIT %s"
        )
        if uses_index:
            found = f"SELECT * FROM (\n{ranked}\n) AS found WHERE similarity IS NOT NULL"
            return Statement(found, (query, query, k))
        return Statement(ranked, (query, query, *passing.params, query, k))
