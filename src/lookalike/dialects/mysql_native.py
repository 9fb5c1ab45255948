"""MySQL AI, HeatWave and Percona Server 9.7: a VECTOR type and a DISTANCE function."""

from lookalike.dialects.base import Dialect, Statement, quote_name


class MySQLNative(Dialect):
    """MySQL whose DISTANCE function is the server's own: it ranks by itself."""

    name = "mysql_native"
    has_distance = True

    def nearest(self, table: str, query: bytes, k: int, min_similarity: float | None) -> Statement:
        # No tiebreaker in ORDER BY: it would keep the server from using a vector index.
        distance = "DISTANCE(embedding, %s, 'COSINE')"
        within = "" if min_similarity is None else f" AND {distance} <= %s"
        bound = () if min_similarity is None else (query, 1.0 - min_similarity)
        return Statement(
            f"SELECT id, image_name, 1 - {distance} AS similarity FROM {quote_name(table)} "
            f"WHERE embedding IS NOT NULL{within} ORDER BY {distance} LIMIT %s",
            (query, *bound, query, k),
        )
