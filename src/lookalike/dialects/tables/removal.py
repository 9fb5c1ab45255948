"""SQL of taking rows out with all that belongs to them, and of putting them back."""

from collections.abc import Sequence
from typing import Any, NamedTuple

from lookalike.dialects.primitives import Primitives
from lookalike.dialects.statement import Statement, places, values
from lookalike.dialects.table import Table, identifier


class KeptColumn(NamedTuple):
    """A column whose values are kept; data_type: as in information_schema."""

    name: str
    data_type: str

    @property
    def is_vector(self) -> bool:
        """Whether its values are vectors."""
        return self.data_type.lower().startswith("vector")


class RemovalSQL(Primitives):
    """Statements on whole rows of a collection's table and its side tables."""

    def columns_to_keep(self, table: Table) -> Statement:
        """Select (name, data type) of the columns, except the id and those that are computed."""
        is_this, names = table.is_this
        return Statement(
            "SELECT column_name, data_type FROM information_schema.columns "
            f"WHERE {is_this} AND column_name <> %s AND COALESCE(generation_expression, '') = '' "
            "ORDER BY ordinal_position",
            (*names, table.id_column),
        )

    def lock_whole_rows(
        self, table: Table, columns: Sequence[KeptColumn], ids: Sequence[int]
    ) -> Statement:
        """Select (id, each column's value) by id, and lock the rows until the transaction ends."""
        chosen = ", ".join([table.id, *(_exact_value(self, column) for column in columns)])
        return Statement(
            f"SELECT {chosen} FROM {table.sql} WHERE {table.id} IN ({places(len(ids))}) "
            f"ORDER BY {table.id} {self.locks['update']}",
            tuple(ids),
        )

    def lock_whole_files(self, table: Table, ids: Sequence[int]) -> Statement:
        """Select (id, path, content_hash, size, mtime_ns), and lock the rows."""
        return Statement(
            "SELECT id, path, content_hash, size, mtime_ns "
            f"FROM {table.side('_files')} WHERE id IN ({places(len(ids))}) {self.locks['update']}",
            tuple(ids),
        )

    def lock_whole_facts(self, table: Table, ids: Sequence[int]) -> Statement:
        """Select (id, content_hash, path_hash, has_location, facts), and lock the rows."""
        return Statement(
            "SELECT id, content_hash, path_hash, has_location, facts "
            f"FROM {table.side('_facts')} WHERE id IN ({places(len(ids))}) {self.locks['update']}",
            tuple(ids),
        )

    def distinct_from(self, table: Table, ids: Sequence[int]) -> Statement:
        """Select (id, other id) for each decision about a row, with the row first."""
        pairs, wanted = table.side("_distinct"), places(len(ids))
        return Statement(
            f"SELECT id, other_id FROM {pairs} WHERE id IN ({wanted})\n"
            f"UNION ALL\nSELECT other_id, id FROM {pairs} WHERE other_id IN ({wanted})",
            (*ids, *ids),
        )

    def insert_whole_rows(
        self, table: Table, columns: Sequence[KeptColumn], rows: Sequence[tuple[Any, ...]]
    ) -> Statement:
        """Insert rows with their ids; each row: id, then each column's value, vectors as bytes."""
        names = ", ".join([table.id, *(identifier(column.name) for column in columns)])
        vectors = {place for place, column in enumerate(columns, 1) if column.is_vector}
        return Statement(
            f"INSERT INTO {table.sql} ({names}) VALUES {values(1 + len(columns), len(rows))}",
            tuple(
                self.vector(value) if place in vectors and value is not None else value
                for row in rows
                for place, value in enumerate(row)
            ),
        )

    def insert_whole_facts(self, table: Table, rows: Sequence[tuple[Any, ...]]) -> Statement:
        """Insert (id, content_hash, path_hash, has_location, facts) rows."""
        return Statement(
            f"INSERT INTO {table.side('_facts')} "
            "(id, content_hash, path_hash, has_location, facts) "
            f"VALUES {values(5, len(rows))}",
            tuple(value for row in rows for value in row),
        )


def _exact_value(sql: Primitives, column: KeptColumn) -> str:
    """Return the SQL of a value that can be inserted again without any loss."""
    name = identifier(column.name)
    if column.is_vector:
        return sql.vector_bytes(name)
    return f"CAST({name} AS DOUBLE)" if column.data_type == "float" else name
