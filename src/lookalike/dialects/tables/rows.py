"""SQL of rows: insert, look up and read embeddings."""

from collections.abc import Sequence

from lookalike.dialects.statement import Statement, places, values
from lookalike.dialects.table import Table
from lookalike.dialects.tables.filters import Filter, and_
from lookalike.dialects.tables.shards import ShardsSQL


class RowsSQL(ShardsSQL):
    """Statements on the rows of one table."""

    def id_step(self) -> Statement:
        """Select the step between the ids of one multi-row insert."""
        return Statement("SELECT @@auto_increment_increment")

    def insert_embeddings(self, table: Table, rows: Sequence[tuple[str, bytes]]) -> Statement:
        """Insert (image_name, embedding) rows; they get consecutive ids."""
        return Statement(
            f"INSERT INTO {table.sql} ({table.image_name()}, {table.embedding}) "
            f"VALUES {values(2, len(rows))}",
            tuple(value for name, packed in rows for value in (name, self.vector(packed))),
        )

    def insert_with_ids(
        self, table: Table, rows: Sequence[tuple[int, str | None, bytes]]
    ) -> Statement:
        """Insert (id, image_name, embedding) rows."""
        return Statement(
            f"INSERT INTO {table.sql} ({table.id}, {table.image_name()}, {table.embedding}) "
            f"VALUES {values(3, len(rows))}",
            tuple(v for *row, packed in rows for v in (*row, self.vector(packed))),
        )

    def update_embedding(self, table: Table, row_id: int, embedding: bytes) -> Statement:
        return Statement(
            f"UPDATE {table.sql} SET {table.embedding} = %s WHERE {table.id} = %s",
            (self.vector(embedding), row_id),
        )

    def lock_rows(self, table: Table, ids: Sequence[int]) -> Statement:
        """Select the ids that exist, and lock their rows until the transaction ends."""
        return Statement(
            f"SELECT {table.id} FROM {table.sql} "
            f"WHERE {table.id} IN ({places(len(ids))}) {self.locks['update']}",
            tuple(ids),
        )

    def documents_lock(self, table: Table, seconds: int) -> Statement:
        """Select 1 if only this connection may store documents, until it is closed; else 0."""
        return Statement(
            "SELECT GET_LOCK(LEFT(SHA2(CONCAT(DATABASE(), '.', %s, '.documents'), 256), 64), %s)",
            (table.name, seconds),
        )

    def documents_unlock(self, table: Table) -> Statement:
        return Statement(
            "SELECT RELEASE_LOCK(LEFT(SHA2(CONCAT(DATABASE(), '.', %s, '.documents'), 256), 64))",
            (table.name,),
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
        """Select ids of rows with exactly this name, at most two: two mean that it is ambiguous."""
        name = table.image_name("v.")
        is_exact = f"{self.exact(f'CONVERT({name} USING utf8mb4)')} = %s"
        return Statement(
            # The first condition can use an index; the second compares letter case, and spaces.
            f"SELECT v.{table.id} FROM {table.sql} AS v WHERE {name} = %s AND "
            f"{self.on_head(table, is_exact)} ORDER BY v.{table.id} LIMIT 2",
            (image_name, image_name),
        )

    def names_containing(self, table: Table, part: str, limit: int) -> Statement:
        """Select (id, name) of rows whose names contain a text, whatever its letter case."""
        name = f"CONVERT({table.image_name()} USING utf8mb4)"
        return Statement(
            f"SELECT {table.id}, {name} FROM {table.sql} WHERE {table.image_name()} IS NOT NULL "
            f"AND LOCATE(LOWER(%s), LOWER({name})) > 0 ORDER BY {table.id} LIMIT %s",
            (part, limit),
        )

    def embeddings(self, table: Table, ids: Sequence[int]) -> Statement:
        return Statement(
            f"SELECT {table.id}, {self.embedding_bytes(table)} AS embedding "
            f"FROM {table.sql} WHERE {table.id} IN ({places(len(ids))})",
            tuple(ids),
        )

    def named_embeddings(self, table: Table, ids: Sequence[int]) -> Statement:
        """Select (id, image_name, embedding) by id."""
        return Statement(
            f"SELECT {table.id}, {table.image_name()}, {self.embedding_bytes(table)} AS embedding "
            f"FROM {table.sql} WHERE {table.id} IN ({places(len(ids))})",
            tuple(ids),
        )

    def named_checksums(self, table: Table, ids: Sequence[int]) -> Statement:
        """Select id, image_name and the CRC32 of the embedding.

        The ids are literals: binding thousands would take longer than the query.
        """
        return Statement(
            f"SELECT {table.id}, {table.image_name()}, CRC32({table.embedding}) "
            f"FROM {table.sql} WHERE {table.id} IN ({','.join(f'{row_id:d}' for row_id in ids)})"
        )

    def all_rows(self, table: Table, where: Filter | None = None) -> Statement:
        """Select all rows, or matching rows, for exact ranking by the client."""
        passing = and_(where)
        return Statement(
            f"SELECT {where.hint if where else ''}{table.id}, "
            f"{self.embedding_bytes(table)} AS embedding, {table.image_name()} "
            f"FROM {table.sql} AS v WHERE {table.embedding} IS NOT NULL{passing.sql}",
            passing.params,
        )

    def all_embeddings(self, table: Table) -> Statement:
        return Statement(
            f"SELECT {table.id}, {self.embedding_bytes(table)} AS embedding "
            f"FROM {table.sql} WHERE {table.embedding} IS NOT NULL"
        )
