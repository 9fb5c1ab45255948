"""The SQL of whole collections: list their tables, drop them, rename them."""

from collections.abc import Sequence

from lookalike.dialects.statement import Statement, places

SIDE_TABLES = {
    "_files": {"id", "path", "path_hash", "content_hash", "size", "mtime_ns"},
    "_failures": {"path", "path_hash", "reason", "size", "mtime_ns", "seen_at"},
    "_phashes": {"content_hash", "width", "height", "phashes", "thumbnail"},
    "_distinct": {"id", "other_id"},
}
"""The suffix of each side table, with its columns."""

WITH_FOREIGN_KEY = {"_files", "_distinct"}
"""The side tables that lookalike makes with a foreign key to the collection's table."""

COLLECTION_COLUMNS = {"id", "image_name", "embedding", "attributes"}
"""The columns of a collection's table; the last one exists if there are attributes."""


class CollectionsSQL:
    """Statements on all the tables of a collection together."""

    def columns_of(self, tables: Sequence[str]) -> Statement:
        """Return (table, column) of the tables that exist."""
        return Statement(
            "SELECT table_name, column_name FROM information_schema.columns "
            f"WHERE table_schema = DATABASE() AND table_name IN ({places(len(tables))})",
            tuple(tables),
        )

    def references(self, tables: Sequence[str]) -> Statement:
        """Return (schema, table, column, referenced table) of foreign keys, and DATABASE()."""
        return Statement(
            "SELECT table_schema, table_name, column_name, referenced_table_name, DATABASE() "
            "FROM information_schema.key_column_usage WHERE referenced_table_schema = DATABASE() "
            f"AND referenced_table_name IN ({places(len(tables))})",
            tuple(tables),
        )

    def disk_size(self, tables: Sequence[str]) -> Statement:
        """The size of tables and their keys in bytes, from the server's statistics."""
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
        """Whether a shared table has records of a collection. noted, key: from `KEYS`."""
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
        """Copy the records of `old` to `new`, unless it has some. columns: the other columns."""
        others = ", ".join(f"`{column}`" for column in columns)
        return Statement(
            f"INSERT IGNORE INTO {noted} ({key}, {others}) "
            f"SELECT %s, {others} FROM {noted} WHERE {key} = %s",
            (new, old),
        )

    def forget_noted(self, name: str, noted: str, key: str) -> Statement:
        return Statement(f"DELETE FROM {noted} WHERE {key} = %s", (name,))

    def forget_noted_without_table(self, name: str, noted: str, key: str) -> Statement:
        """The same, unless the collection's table was created again meanwhile."""
        return Statement(
            f"DELETE FROM {noted} WHERE {key} = %s AND NOT EXISTS ("
            "SELECT 1 FROM information_schema.tables "
            "WHERE table_schema = DATABASE() AND table_name = %s)",
            (name, name),
        )
