"""MySQL AI, HeatWave and Percona Server 9.7: a VECTOR type and a DISTANCE function."""

from lookalike.dialects.attributes_sql import Filter, and_
from lookalike.dialects.base import Dialect
from lookalike.dialects.statements import Statement, quote_name

# From distance to similarity. DOT is larger for nearer vectors.
_SIMILARITY = {"cosine": "1 - ", "euclidean": "-", "dot": ""}


class MySQLNative(Dialect):
    """MySQL whose DISTANCE function is the server's own: it ranks by itself."""

    name = "mysql_native"
    has_distance = True

    def nearest(
        self,
        table: str,
        metric: str,
        query: bytes,
        k: int,
        min_similarity: float | None,
        where: Filter | None = None,
    ) -> Statement:
        # No tiebreaker in ORDER BY: it would keep the server from using a vector index.
        distance = f"DISTANCE(embedding, %s, '{metric.upper()}')"
        similarity = f"{_SIMILARITY[metric]}{distance}"
        within = "" if min_similarity is None else f" AND {similarity} >= %s"
        bound = () if min_similarity is None else (query, min_similarity)
        passing = and_(where)
        direction = " DESC" if metric == "dot" else ""
        return Statement(
            f"SELECT id, image_name, {similarity} AS similarity FROM {quote_name(table)} AS v "
            f"WHERE embedding IS NOT NULL{within}{passing.sql} "
            f"ORDER BY {distance}{direction} LIMIT %s",
            (query, *bound, *passing.params, query, k),
        )
