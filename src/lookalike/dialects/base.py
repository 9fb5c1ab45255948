"""The SQL that all engines share; each engine is a small subclass."""

from collections.abc import Sequence

from lookalike.dialects.statement import Statement, places, values
from lookalike.dialects.table import Table
from lookalike.dialects.tables.attributes import AttributesSQL, Filter, and_
from lookalike.dialects.tables.collections import CollectionsSQL
from lookalike.dialects.tables.duplicates import DuplicatesSQL
from lookalike.dialects.tables.files import FilesSQL
from lookalike.dialects.tables.index import IndexSQL
from lookalike.dialects.tables.layouts import KEYS, LayoutsSQL
from lookalike.dialects.tables.levels import LevelsSQL
from lookalike.dialects.tables.search import SearchSQL
from lookalike.dialects.tables.thresholds import ThresholdsSQL


class Dialect(
    AttributesSQL,
    CollectionsSQL,
    DuplicatesSQL,
    FilesSQL,
    IndexSQL,
    LayoutsSQL,
    LevelsSQL,
    SearchSQL,
    ThresholdsSQL,
):
    """The SQL of a MySQL-compatible server with the VECTOR type of MySQL 9."""

    name = ""
    has_nearest = False
    """Whether the server ranks embeddings by itself: then `nearest` is available."""
    needs_index = True
    """Whether searches need lookalike's own index to be quick."""

    # What the server is, and whether it will do.

    def version(self) -> Statement:
        return Statement("SELECT VERSION()")

    def probes(self) -> list[Statement]:
        """Statements whose single value is true on a server of this engine, and only there."""
        return [Statement("SELECT VECTOR_DIM(STRING_TO_VECTOR('[1,2]')) = 2")]

    def analyze(self, statement: Statement) -> Statement:
        """The server's EXPLAIN ANALYZE of a statement, with rows and time of each step."""
        return Statement(f"EXPLAIN ANALYZE {statement.sql}", statement.params)

    # Tables.

    def create_registry(self) -> Statement:
        return Statement(
            "CREATE TABLE IF NOT EXISTS lookalike_collections (\n"
            "    name VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PRIMARY KEY,\n"
            "    model VARCHAR(4096),\n"
            "    dim SMALLINT UNSIGNED NOT NULL,\n"
            "    metric VARCHAR(16) NOT NULL,\n"
            "    created_at TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP\n"
            ") ENGINE = InnoDB"
        )

    def register(self, name: str, model: str | None, dim: int, metric: str) -> Statement:
        return Statement(
            "INSERT IGNORE INTO lookalike_collections (name, model, dim, metric) "
            "VALUES (%s, %s, %s, %s)",
            (name, model, dim, metric),
        )

    def forget_dropped(self, name: str) -> list[Statement]:
        """Remove the records of a collection whose table was dropped."""
        return [
            Statement(
                f"DELETE FROM {noted} WHERE {key} = %s AND NOT EXISTS ("
                "SELECT 1 FROM information_schema.tables "
                "WHERE table_schema = DATABASE() AND table_name = %s)",
                (name, f"{name}_files"),
            )
            for noted, key in KEYS
        ]

    def registered(self, name: str) -> Statement:
        return Statement(
            "SELECT model, metric FROM lookalike_collections WHERE name = %s LIMIT 1", (name,)
        )

    def table_columns(self, table: Table) -> Statement:
        return Statement(
            "SELECT column_name, column_type FROM information_schema.columns "
            "WHERE table_schema = DATABASE() AND table_name = %s",
            (table.name,),
        )

    def table_kind(self, table: Table) -> Statement:
        """Return (table_type, engine, create_options, columns of its primary key, extra of id)."""
        return Statement(
            "SELECT t.table_type, t.engine, t.create_options, (\n"
            "    SELECT GROUP_CONCAT(s.column_name ORDER BY s.seq_in_index)\n"
            "    FROM information_schema.statistics AS s WHERE s.table_schema = t.table_schema\n"
            "    AND s.table_name = t.table_name AND s.index_name = 'PRIMARY'\n"
            "), (\n"
            "    SELECT c.extra FROM information_schema.columns AS c\n"
            "    WHERE c.table_schema = t.table_schema AND c.table_name = t.table_name\n"
            "    AND c.column_name = %s\n"
            ") FROM information_schema.tables AS t\n"
            "WHERE t.table_schema = DATABASE() AND t.table_name = %s",
            (table.id_column, table.name),
        )

    def collection_names(self) -> Statement:
        """Tables with the article's three columns, the embedding a VECTOR."""
        return Statement(
            "SELECT table_name FROM information_schema.columns "
            "WHERE table_schema = DATABASE() AND (column_name IN ('id', 'image_name') "
            "OR (column_name = 'embedding' AND data_type = 'vector')) "
            "GROUP BY table_name HAVING COUNT(*) = 3 ORDER BY table_name"
        )

    def create_collection(self, table: Table, dim: int) -> Statement:
        return Statement(
            f"CREATE TABLE IF NOT EXISTS {table.sql} (\n"
            f"    {table.id} INT PRIMARY KEY AUTO_INCREMENT,\n"
            f"    {table.image_name()} VARCHAR(255),\n"
            f"    {table.embedding} VECTOR({dim:d}),\n"
            f"    KEY image_name ({table.image_name()})\n"
            ") ENGINE = InnoDB CHARACTER SET utf8mb4"
        )

    # Rows.

    def id_step(self) -> Statement:
        """The step between the ids of one multi-row insert."""
        return Statement("SELECT @@auto_increment_increment")

    def insert_embeddings(self, table: Table, rows: Sequence[tuple[str, bytes]]) -> Statement:
        """Insert (image_name, embedding) rows; they get consecutive ids."""
        return Statement(
            f"INSERT INTO {table.sql} ({table.image_name()}, {table.embedding}) "
            f"VALUES {values(2, len(rows))}",
            tuple(value for row in rows for value in row),
        )

    def insert_with_ids(
        self, table: Table, rows: Sequence[tuple[int, str | None, bytes]]
    ) -> Statement:
        """Insert (id, image_name, embedding) rows."""
        return Statement(
            f"INSERT INTO {table.sql} ({table.id}, {table.image_name()}, {table.embedding}) "
            f"VALUES {values(3, len(rows))}",
            tuple(value for row in rows for value in row),
        )

    def update_embedding(self, table: Table, row_id: int, embedding: bytes) -> Statement:
        return Statement(
            f"UPDATE {table.sql} SET {table.embedding} = %s WHERE {table.id} = %s",
            (embedding, row_id),
        )

    def lock_rows(self, table: Table, ids: Sequence[int]) -> Statement:
        """Return the ids that exist, and lock their rows until the transaction ends."""
        return Statement(
            f"SELECT {table.id} FROM {table.sql} "
            f"WHERE {table.id} IN ({places(len(ids))}) FOR UPDATE",
            tuple(ids),
        )

    def delete_rows(self, table: Table, ids: Sequence[int]) -> Statement:
        return Statement(
            f"DELETE FROM {table.sql} WHERE {table.id} IN ({places(len(ids))})", tuple(ids)
        )

    def count_embeddings(self, table: Table) -> Statement:
        return Statement(f"SELECT COUNT({table.embedding}) FROM {table.sql}")

    def count_rows(self, table: Table) -> Statement:
        return Statement(f"SELECT COUNT(*) FROM {table.sql}")

    def records(self, table: Table, ids: Sequence[int]) -> Statement:
        return Statement(
            f"SELECT {table.id}, {table.image_name()} FROM {table.sql} "
            f"WHERE {table.id} IN ({places(len(ids))})",
            tuple(ids),
        )

    def update_name(self, table: Table, row_id: int, image_name: str) -> Statement:
        return Statement(
            f"UPDATE {table.sql} SET {table.image_name()} = %s WHERE {table.id} = %s",
            (image_name, row_id),
        )

    def ids_by_name(self, table: Table, image_name: str) -> Statement:
        """Ids of rows with exactly this name, at most two: two mean that it is ambiguous."""
        name = table.image_name()
        return Statement(
            # The first condition can use an index, the second compares letter case.
            f"SELECT {table.id} FROM {table.sql} WHERE {name} = %s AND "
            f"CONVERT({name} USING utf8mb4) COLLATE utf8mb4_bin = %s ORDER BY {table.id} LIMIT 2",
            (image_name, image_name),
        )

    def embeddings(self, table: Table, ids: Sequence[int]) -> Statement:
        return Statement(
            f"SELECT {table.id}, {table.embedding_bytes()} AS embedding "
            f"FROM {table.sql} WHERE {table.id} IN ({places(len(ids))})",
            tuple(ids),
        )

    # Search.

    def all_rows(self, table: Table, where: Filter | None = None) -> Statement:
        """All embeddings, or those of matching rows, for exact ranking by the client."""
        passing = and_(where)
        return Statement(
            f"SELECT {table.id}, {table.embedding_bytes()} AS embedding, {table.image_name()} "
            f"FROM {table.sql} AS v WHERE {table.embedding} IS NOT NULL{passing.sql}",
            passing.params,
        )

    def all_embeddings(self, table: Table) -> Statement:
        return Statement(
            f"SELECT {table.id}, {table.embedding_bytes()} AS embedding "
            f"FROM {table.sql} WHERE {table.embedding} IS NOT NULL"
        )

    def nearest(
        self,
        table: Table,
        metric: str,
        query: bytes,
        k: int,
        min_similarity: float | None,
        where: Filter | None = None,
    ) -> Statement:
        """The k rows nearest to the query, ranked by the server: id, image_name, similarity."""
        raise NotImplementedError
