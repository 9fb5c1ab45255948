"""MySQL AI, HeatWave and Percona Server 9.7: a VECTOR type and a DISTANCE function."""

from lookalike.dialects.base import Dialect
from lookalike.dialects.statement import Statement
from lookalike.dialects.table import Table
from lookalike.dialects.tables.filters import Filter, and_

# From distance to similarity. DOT is larger for nearer vectors.
_SIMILARITY = {"cosine": "1 - ", "euclidean": "-", "dot": ""}


class MySQLNative(Dialect):
    """MySQL with a built-in DISTANCE function: the server ranks embeddings."""

    name = "mysql_native"
    has_nearest = True
    needs_index = False
    has_automatic_index = True  # MySQL AI and HeatWave, from 9.5 on

    def probes(self) -> list[Statement]:
        vectors = "STRING_TO_VECTOR('[1]'), STRING_TO_VECTOR('[1]')"
        return [
            *super().probes(),
            Statement(f"SELECT DISTANCE({vectors}, 'DOT') IS NOT NULL"),
            # Exclude a stored function of that name, such as lookalike's own: it is slow.
            Statement(
                "SELECT COUNT(*) = 0 FROM information_schema.routines "
                "WHERE routine_schema = DATABASE() AND routine_name = 'DISTANCE'"
            ),
        ]

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
        distance = f"DISTANCE({table.embedding}, %s, '{metric.upper()}')"
        passing = and_(where)
        # Zeros have no cosine, and what is NULL comes first. Neither this condition nor a
        # tiebreaker may stand where an index is to be used: there such rows are left out after.
        has_zeros = metric == "cosine"
        zeros = has_zeros and (exact or where is not None)
        usable = f"{distance if zeros else table.embedding} IS NOT NULL"
        read = f", {self.embedding_bytes(table)}" if embedding else ""
        direction = " DESC" if metric == "dot" else ""
        order = f"{distance}{direction}" + (f", {table.id}" if exact else "")
        ranked = (
            f"SELECT {table.id} AS id, {table.image_name()} AS image_name, "
            f"{_SIMILARITY[metric]}{distance} AS similarity{read} FROM {table.sql} AS v "
            f"WHERE {usable}{passing.sql} ORDER BY {order} LIMIT %s"
        )
        if has_zeros and not zeros:
            ranked = f"SELECT * FROM (\n{ranked}\n) AS found WHERE similarity IS NOT NULL"
        params = (query, *([query] if zeros else []), *passing.params, query, k)
        return Statement(ranked, params)
