"""SQL of thresholds: the similarity from which an image matches a collection."""

from lookalike.dialects.statement import Statement
from lookalike.dialects.table import Table


class ThresholdsSQL:
    """Statements on `lookalike_thresholds`."""

    def create_thresholds(self) -> Statement:
        return Statement(
            "CREATE TABLE IF NOT EXISTS lookalike_thresholds (\n"
            "    collection VARCHAR(64) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin PRIMARY KEY,\n"
            "    min_similarity DOUBLE NOT NULL\n"
            ") ENGINE = InnoDB"
        )

    def threshold(self, table: Table) -> Statement:
        return Statement(
            "SELECT min_similarity FROM lookalike_thresholds WHERE collection = %s", (table.name,)
        )

    def store_threshold(self, table: Table, min_similarity: float) -> Statement:
        return Statement(
            "REPLACE INTO lookalike_thresholds (collection, min_similarity) VALUES (%s, %s)",
            (table.name, min_similarity),
        )
