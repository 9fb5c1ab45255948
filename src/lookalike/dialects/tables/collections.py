"""SQL of whole collections: create, find, list, drop and rename their tables."""

from collections.abc import Sequence

from lookalike.dialects.primitives import Primitives
from lookalike.dialects.statement import Statement, copy_comment, places
from lookalike.dialects.table import Table
from lookalike.dialects.tables.layouts import KEYS

SIDE_TABLES = {
    "_files": {"id", "path", "path_hash", "content_hash", "size", "mtime_ns"},
    "_failures": {"path", "path_hash", "reason", "size", "mtime_ns", "seen_at"},
    "_phashes": {"content_hash", "width", "height", "phashes", "thumbnail"},
    "_distinct": {"id", "other_id"},
    "_facts": {"id", "content_hash", "path_hash", "has_location", "facts"},
    "_unsettled": {"id"},
}
"""Columns of each side table, by its suffix."""

ONLY_SPREAD = {"_unsettled"}
"""Side tables of collections alone that are spread over shards, which have no foreign keys."""

WITH_FOREIGN_KEY = {"_files", "_distinct", "_facts"}
"""Side tables with a foreign key to the collection's table."""

COLLECTION_COLUMNS = {"id", "image_name", "embedding", "attributes"}
"""Columns of a collection's table; `attributes` exists only if there are any."""


class CollectionsSQL(Primitives):
    """Statements on the tables of a collection, and on the registry of collections."""

    # Single collections.

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
        """Delete the records of a collection whose table was dropped."""
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
        is_this, names = table.is_this
        return Statement(
            f"SELECT column_name, {self.column_type} FROM information_schema.columns "
            f"WHERE {is_this} ORDER BY ordinal_position",
            names,
        )

    def table_kind(self, table: Table) -> Statement:
        """Select (table_type, engine, create_options, columns of its primary key, extra of id)."""
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
        """Select tables with the article's three columns, of which embedding is a VECTOR."""
        return Statement(
            "SELECT table_name FROM information_schema.columns "
            "WHERE table_schema = DATABASE() AND table_name NOT REGEXP '^lookalike_[0-9]+_rows$' "
            "AND (column_name IN ('id', 'image_name') "
            "OR (column_name = 'embedding' AND LOWER(LEFT(data_type, 6)) = 'vector')) "
            "GROUP BY table_name HAVING COUNT(*) = 3 ORDER BY table_name"
        )

    def create_collection(
        self, table: Table, dim: int, id_type: str = "INT", copy_of: str = ""
    ) -> Statement:
        """Create a collection's table; copy_of: mark it as an unfinished copy of this."""
        return Statement(
            f"CREATE TABLE IF NOT EXISTS {table.sql} (\n"
            f"    {table.id} {id_type} PRIMARY KEY AUTO_INCREMENT,\n"
            f"    {table.image_name()} VARCHAR(255),\n"
            f"    {table.embedding} {self.vector_type(dim)},\n"
            f"    KEY image_name ({table.image_name()})\n"
            ") ENGINE = InnoDB CHARACTER SET utf8mb4" + (" COMMENT = %s" if copy_of else ""),
            (copy_comment(copy_of),) if copy_of else (),
        )

    # Several tables at once.

    def columns_of(self, tables: Sequence[str]) -> Statement:
        """Select (table, column) of those tables that exist."""
        return Statement(
            "SELECT table_name, column_name FROM information_schema.columns "
            f"WHERE table_schema = DATABASE() AND table_name IN ({places(len(tables))})",
            tuple(tables),
        )

    def references(self, tables: Sequence[str]) -> Statement:
        """Select (schema, table, column, referenced table) of foreign keys, and DATABASE()."""
        return Statement(
            "SELECT table_schema, table_name, column_name, referenced_table_name, DATABASE() "
            "FROM information_schema.key_column_usage WHERE referenced_table_schema = DATABASE() "
            f"AND referenced_table_name IN ({places(len(tables))})",
            tuple(tables),
        )

    def disk_size(self, tables: Sequence[str]) -> Statement:
        """Select the size of tables and indexes in bytes, from the server's statistics."""
        return Statement(
            "SELECT COALESCE(SUM(data_length + index_length), 0) FROM information_schema.tables "
            f"WHERE table_schema = DATABASE() AND table_name IN ({places(len(tables))})",
            tuple(tables),
        )

    def indexed_names(self) -> Statement:
        return Statement("SELECT collection FROM lookalike_indexes")

    def registration(self, name: str) -> Statement:
        return Statement(
            "SELECT model, dim, metric, created_at FROM lookalike_collections WHERE name = %s",
            (name,),
        )

    def is_noted(self, name: str, noted: str, key: str) -> Statement:
        """Select whether a shared table has records of a collection. noted, key: from `KEYS`."""
        return Statement(f"SELECT EXISTS (SELECT 1 FROM {noted} WHERE {key} = %s)", (name,))

    def drop_tables(self, tables: Sequence[str]) -> Statement:
        """Drop all of them or none."""
        return Statement(f"DROP TABLE IF EXISTS {', '.join(f'`{table}`' for table in tables)}")

    def rename_tables(self, names: Sequence[tuple[str, str]]) -> Statement:
        """Rename all of them or none."""
        return Statement("RENAME TABLE " + ", ".join(f"`{old}` TO `{new}`" for old, new in names))

    def copy_noted(
        self, old: str, new: str, noted: str, key: str, columns: Sequence[str]
    ) -> Statement:
        """Copy the records of `old` to `new` unless it has some. columns: the other columns."""
        others = ", ".join(f"`{column}`" for column in columns)
        return Statement(
            f"INSERT IGNORE INTO {noted} ({key}, {others}) "
            f"SELECT %s, {others} FROM {noted} WHERE {key} = %s",
            (new, old),
        )

    def forget_noted(self, name: str, noted: str, key: str) -> Statement:
        return Statement(f"DELETE FROM {noted} WHERE {key} = %s", (name,))

    def forget_noted_without_table(self, name: str, noted: str, key: str) -> Statement:
        """Delete a collection's records unless its table was created again meanwhile."""
        return Statement(
            f"DELETE FROM {noted} WHERE {key} = %s AND NOT EXISTS ("
            "SELECT 1 FROM information_schema.tables "
            "WHERE table_schema = DATABASE() AND table_name = %s)",
            (name, name),
        )
