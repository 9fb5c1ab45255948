"""SQL of the search through lookalike's index, for servers that compute distances but no codes.

MySQL estimates similarities from codes by BIT_COUNT of binary strings. Other servers count the bits
of integers only, and would return wrong estimates without an error. They compare the embeddings of
all rows in the probed cells instead.
"""

from lookalike.dialects.statement import Statement, places
from lookalike.dialects.table import Table
from lookalike.dialects.tables.filters import Filter, and_
from lookalike.dialects.tables.index import codes_table
from lookalike.dialects.tables.ranking import RankingSQL
from lookalike.dialects.tables.search import SearchSQL, Shortlist


class CellsSQL(RankingSQL, SearchSQL):
    """The search through the index by the server's own distances."""

    def similarity(self, embedding: str, metric: str, query: bytes) -> Statement:
        """Return the similarity of an embedding to a query as the server computes it.

        It is NULL for an embedding without one: NULL itself and, for cosine, zeros.
        """
        raise NotImplementedError

    def sent_vector(self, column: str) -> str:
        """Return a column of `embedding_bytes` as a vector again."""
        return column

    def best_codes(self, table: Table, shortlist: Shortlist, where: Filter | None) -> Statement:
        """Select the ids of the nearest rows in the probed cells."""
        cells = [probe.cell for probe in shortlist.probes]
        similarity = self.similarity(f"v.{table.embedding}", shortlist.metric, shortlist.query)
        passing = and_(where)
        return Statement(
            "    SELECT STRAIGHT_JOIN c.id\n"
            f"    FROM {codes_table(table, shortlist.generation)} AS c\n"
            f"    JOIN {table.sql} AS v ON v.{table.id} = c.id\n"
            f"    WHERE c.cell IN ({places(len(cells))}){passing.sql}\n"
            f"    ORDER BY {similarity.sql} DESC\n"
            "    LIMIT %s",
            (*cells, *passing.params, *similarity.params, shortlist.rows),
        )

    def ranked(
        self,
        candidates: Statement,
        columns: str,
        metric: str,
        query: bytes,
        min_similarity: float | None = None,
    ) -> Statement:
        similarity = self.similarity(self.sent_vector("embedding"), metric, query)
        least = "" if min_similarity is None else " AND similarity >= %s"
        sql = (
            f"WITH lookalike_candidates ({columns}) AS (\n{candidates.sql}\n"
            "), lookalike_similarities AS (\n"
            f"    SELECT DISTINCT id, image_name, {similarity.sql} AS similarity\n"
            "    FROM lookalike_candidates WHERE embedding IS NOT NULL\n"
            ")\n"
            "SELECT id, image_name, similarity FROM lookalike_similarities\n"
            f"WHERE similarity IS NOT NULL{least}"
        )
        bound = () if min_similarity is None else (min_similarity,)
        return Statement(sql, (*candidates.params, *similarity.params, *bound))
