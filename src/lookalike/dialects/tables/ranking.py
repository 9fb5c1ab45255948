"""SQL that ranks embeddings exactly, without functions of lookalike's own.

MySQL 9 cannot compute with vectors. But it reads float64 numbers out of the well-known binary form
of a geometry, all with one call. So the bytes of a vector are reversed, which makes each float32
big-endian, and every number is widened to 8 bytes by shifts of the whole string: the sign goes to
bit 63, exponent and fraction to the bits below 60. That float64 is the number times 2^-896,
exactly, also for subnormal numbers and 0. Two numbers make a point, the points a line, and
JSON_TABLE returns its coordinates: in another order than the vector's, but the same for every
vector.
"""

from collections.abc import Collection

from lookalike.dialects.primitives import Primitives
from lookalike.dialects.statement import Statement, places

_SCALE = "5.282945311356653e269"  # 2^896
_DIFFERENCES = (
    f"SUM(POW(line.a * {_SCALE} - query.a, 2) + POW(line.b * {_SCALE} - query.b, 2)) AS differences"
)
_PRODUCTS = f"SUM(line.a * {_SCALE} * query.a + line.b * {_SCALE} * query.b) AS xy"
_SQUARES = f"SUM(POW(line.a * {_SCALE}, 2) + POW(line.b * {_SCALE}, 2)) AS xx"
_SUMS = {
    "cosine": f"{_PRODUCTS}, {_SQUARES}",
    "euclidean": _DIFFERENCES,
    "dot": _PRODUCTS,
}
_SIMILARITY = {
    "cosine": (
        "LEAST(1, GREATEST(-1, xy / NULLIF("
        "SQRT(xx) * SQRT((SELECT SUM(a * a + b * b) FROM lookalike_query)), 0)))"
    ),
    "euclidean": "-SQRT(differences)",
    "dot": "xy",
}


class RankingSQL(Primitives):
    """Statements that answer a search by themselves."""

    def ranked(
        self,
        candidates: Statement,
        columns: str,
        metric: str,
        query: bytes,
        min_similarity: float | None = None,
    ) -> Statement:
        """Select the candidates with their similarities: id, image_name, similarity, in any order.

        Args:
            candidates: Selects ids, names and the embeddings' bytes, which may be NULL; a row may
                occur twice.
            columns: The order of its columns: id, image_name, embedding and any others.
            metric: cosine, euclidean or dot.
            query: The query's bytes.
            min_similarity: Omit less similar rows.
        """
        # The names of the parts must not be those of a collection.
        dim = len(query) // 4
        least = "" if min_similarity is None else " AND similarity >= %s"
        sql = (
            "WITH lookalike_query AS (\n"
            f"    SELECT n, a * {_SCALE} AS a, b * {_SCALE} AS b\n"
            f"    FROM (SELECT %s AS asked) AS asked, {_line('asked', dim)} LIMIT 100000\n"
            f"), lookalike_candidates ({columns}) AS (\n"
            f"{candidates.sql}\n"
            "), lookalike_similarities AS (\n"
            f"    SELECT DISTINCT id, image_name, {_SIMILARITY[metric]} AS similarity\n"
            "    FROM lookalike_candidates, LATERAL (\n"
            f"        SELECT {_SUMS[metric]}\n"
            f"        FROM {_line('embedding', dim)}\n"
            "        STRAIGHT_JOIN lookalike_query AS query ON query.n = line.n\n"
            "    ) AS sums WHERE embedding IS NOT NULL\n"
            ")\n"
            "SELECT id, image_name, similarity FROM lookalike_similarities\n"
            f"WHERE similarity IS NOT NULL{least}"
        )
        bound = () if min_similarity is None else (min_similarity,)
        return Statement(sql, (query, *candidates.params, *bound))

    def page(
        self,
        ranked: Statement,
        k: int,
        offset: int = 0,
        left_out: Collection[int] = (),
        min_similarity: float | None = None,
    ) -> Statement:
        """Select the k best rows of `ranked` or `nearest`, ties by id, without those left out."""
        least = [] if min_similarity is None else [min_similarity]
        tests = [f"id NOT IN ({places(len(left_out))})"] * bool(left_out)
        tests += ["similarity >= %s"] * len(least)
        without = f"WHERE {' AND '.join(tests)}\n" if tests else ""
        skipped = " OFFSET %s" if offset else ""
        sql = (
            f"SELECT id, image_name, similarity FROM (\n{ranked.sql}\n"
            f") AS found\n{without}"
            f"ORDER BY similarity DESC, id LIMIT %s{skipped}"
        )
        return Statement(sql, (*ranked.params, *left_out, *least, k, *([offset] if offset else [])))


def _line(vector: str, dim: int) -> str:
    """Return the table `line` of a vector's numbers times 2^-896, two per row (n, a, b)."""
    points = 2 * -(-dim // 4)
    reversed_ = f"REVERSE({vector})"
    if padding := 8 * points - 4 * dim:
        reversed_ = f"CONCAT({reversed_}, x'{'00' * padding}')"

    def masked(lane: str) -> str:
        return f"({reversed_} & REPEAT(x'{lane}', {points}))"

    return (
        "JSON_TABLE(ST_AsGeoJSON(ST_GeomFromWKB(CONCAT(\n"
        f"        x'0000000002{points:08x}',\n"
        f"        {masked('8000000000000000')} | {masked('7fffffff00000000')} >> 3,\n"
        f"        {masked('0000000080000000')} << 32 | {masked('000000007fffffff')} << 29\n"
        "        ))), '$.coordinates[*]' COLUMNS ("
        "n FOR ORDINALITY, a DOUBLE PATH '$[0]', b DOUBLE PATH '$[1]')) AS line"
    )
