"""TiDB 8.4 and newer: a VECTOR type and distances; vectors are texts in both directions.

No server could be had to test this: it follows TiDB's documentation.
"""

import struct
from collections.abc import Sequence
from typing import ClassVar

from lookalike.dialects.base import SERVER_INDEX, Dialect
from lookalike.dialects.primitives import Lock
from lookalike.dialects.statement import Statement
from lookalike.dialects.table import Table
from lookalike.dialects.tables.attributes import MAX_TEXT
from lookalike.dialects.tables.filters import Filter, and_

_FUNCTION = {
    "cosine": "VEC_COSINE_DISTANCE",
    "euclidean": "VEC_L2_DISTANCE",
    "dot": "VEC_NEGATIVE_INNER_PRODUCT",
}
_SIMILARITY = {"cosine": "1 - ", "euclidean": "-", "dot": "-"}
_PLACES = "n AS (SELECT 0 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 999)"
"""Places in a list, as many as a recursion may make by default."""
_NUMBERS = "'INTEGER', 'UNSIGNED INTEGER', 'DOUBLE', 'DECIMAL'"


class TiDB(Dialect):
    """TiDB: the server ranks by each metric; its index needs columnar replicas (TiFlash)."""

    name = "tidb"
    scheme = "tidb"
    has_nearest = True
    needs_index = False
    needs_server_index = False
    instead_of_index = "on TiDB nobody has tested it; its own index is used (kind server)"
    instead_of_functions = "rank with VEC_COSINE_DISTANCE(embedding, '[...]') or VEC_L2_DISTANCE"
    has_vector_results = False
    sends_text = True
    has_explain_table = has_checksums = False
    indexed_metrics = frozenset({"cosine", "euclidean"})
    unindexed_kinds = frozenset({"text", "number", "list"})
    computed_key = "UNIQUE"
    # FOR SHARE locks nothing, or is refused.
    locks: ClassVar[dict[Lock, str]] = {
        "": "",
        "share": "FOR UPDATE",
        "share nowait": "FOR UPDATE NOWAIT",
        "update": "FOR UPDATE",
        "update nowait": "FOR UPDATE NOWAIT",
    }

    def probes(self) -> list[Statement]:
        return [Statement("SELECT VEC_L2_DISTANCE('[1]', '[3]') = 2")]

    def vector(self, embedding: bytes) -> str:
        # The digits of the same numbers in float64: the server reads these and rounds to float32.
        numbers = struct.unpack(f"<{len(embedding) // 4}f", embedding)
        return f"[{','.join(map(repr, numbers))}]"

    def vector_bytes(self, column: str) -> str:
        return f"VEC_AS_TEXT({column})"  # with all digits of a float32

    def values_table(self, name: str, columns: Sequence[str], n_rows: int) -> str:
        first = ", ".join(f"%s AS {column}" for column in columns)
        others = f" UNION ALL SELECT {', '.join(['%s'] * len(columns))}" * (n_rows - 1)
        return f"(SELECT {first}{others}) AS {name}"

    # There is no JSON_VALUE, JSON_TABLE, or index on what is in a JSON value.

    def json_value(self, column: str, path: str, type_: str) -> str:
        value = f"JSON_EXTRACT({column}, {path})"
        kind = f"JSON_TYPE({value})"
        if type_ == "DOUBLE":
            return f"IF({kind} IN ({_NUMBERS}), CAST({value} AS DOUBLE), NULL)"
        text = f"LEFT(JSON_UNQUOTE({value}), {MAX_TEXT}) COLLATE {self.exact_collation}"
        return f"IF({kind} IN ('NULL', 'OBJECT', 'ARRAY'), NULL, {text})"

    def items_table(self, value: str) -> tuple[str, str]:
        items = f"IF(JSON_TYPE({value}) = 'ARRAY', {value}, JSON_ARRAY({value}))"
        places = f"(WITH RECURSIVE {_PLACES} SELECT i FROM n) AS item"
        found = f"JSON_EXTRACT({items}, CONCAT('$[', item.i, ']'))"
        return f"{places} ON item.i < JSON_LENGTH({items})", found

    def stored_attributes(self, table: Table) -> Statement:
        keys = "JSON_KEYS(v.attributes)"
        name = f"JSON_UNQUOTE(JSON_EXTRACT({keys}, CONCAT('$[', n.i, ']')))"
        return Statement(
            f"WITH RECURSIVE {_PLACES}, "
            f"k AS (SELECT v.attributes, {name} AS name "
            f"FROM {table.sql} AS v JOIN n ON n.i < JSON_LENGTH({keys})) "
            "SELECT k.name, JSON_TYPE(JSON_EXTRACT(k.attributes, "
            "CONCAT('$.', JSON_QUOTE(k.name)))) AS json_type, COUNT(*) "
            "FROM k GROUP BY k.name, json_type"
        )

    # The server's own index.

    def server_indexes(self, table: Table) -> Statement:
        schema = table.source.schema if table.source else None
        return Statement(
            "SELECT DISTINCT index_name FROM information_schema.tiflash_indexes WHERE "
            f"tidb_database = {'DATABASE()' if schema is None else '%s'} AND tidb_table = %s "
            "AND column_name = %s AND index_kind = 'HNSW'",
            (*table.is_this[1], table.embedding_column),
        )

    def create_server_index(self, table: Table, metric: str) -> list[Statement]:
        distance = f"{_FUNCTION[metric]}({table.embedding})"
        return [
            Statement(f"ALTER TABLE {table.sql} SET TIFLASH REPLICA 1"),
            Statement(f"CREATE VECTOR INDEX {SERVER_INDEX} ON {table.sql} (({distance}))"),
        ]

    def drop_server_index(self, table: Table) -> list[Statement]:
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
        asked = self.vector(query)
        distance = f"{_FUNCTION[metric]}({table.embedding}, %s)"
        passing = and_(where)
        read = f", {self.embedding_bytes(table)} AS embedding" if embedding else ""
        # A WHERE, DESC or a second value to order by keeps the server from using its index.
        uses_index = metric in self.indexed_metrics and not (exact or where)
        needed = "" if uses_index else f"WHERE {distance} IS NOT NULL{passing.sql} "
        ranked = (
            f"SELECT {table.id} AS id, {table.image_name()} AS image_name, "
            f"{_SIMILARITY[metric]}{distance} AS similarity{read} FROM {table.sql} AS v "
            f"{needed}ORDER BY {distance}{'' if uses_index else f', {table.id}'} LIMIT %s"
        )
        if uses_index:
            found = f"SELECT * FROM (\n{ranked}\n) AS found WHERE similarity IS NOT NULL"
            return Statement(found, (asked, asked, k))
        return Statement(ranked, (asked, asked, *passing.params, asked, k))
