"""SQL of match levels: the similarities of random pairs of a collection."""

from lookalike.dialects.statement import Statement
from lookalike.dialects.table import Table


class LevelsSQL:
    """Statements on `lookalike_levels`."""

    def create_levels(self) -> Statement:
        """Create the table of similarities: float32, little-endian, at fixed percentiles."""
        return Statement(
            "CREATE TABLE IF NOT EXISTS lookalike_levels (\n"
            "    collection VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin,\n"
            "    kind VARCHAR(16),\n"
            "    id_range BIGINT UNSIGNED NOT NULL,\n"
            "    similarities BLOB NOT NULL,\n"
            "    PRIMARY KEY (collection, kind)\n"
            ") ENGINE = InnoDB"
        )

    def levels(self, table: Table, kind: str) -> Statement:
        return Statement(
            "SELECT similarities FROM lookalike_levels WHERE collection = %s AND kind = %s",
            (table.name, kind),
        )

    def store_levels(
        self, table: Table, kind: str, id_range: int, similarities: bytes
    ) -> Statement:
        return Statement(
            "REPLACE INTO lookalike_levels (collection, kind, id_range, similarities) "
            "VALUES (%s, %s, %s, %s)",
            (table.name, kind, id_range, similarities),
        )

    def forget_levels(self, table: Table, id_range: int) -> Statement:
        """Delete what was measured when the range of ids was smaller than this."""
        return Statement(
            "DELETE FROM lookalike_levels WHERE collection = %s AND id_range < %s",
            (table.name, id_range),
        )
