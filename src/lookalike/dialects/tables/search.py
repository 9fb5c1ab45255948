"""SQL of the search through the index."""

from collections.abc import Sequence
from typing import NamedTuple

from lookalike.dialects.primitives import Primitives
from lookalike.dialects.statement import Statement
from lookalike.dialects.table import Table
from lookalike.dialects.tables.filters import Filter, and_
from lookalike.dialects.tables.index import codes_table

_HOLDS = (
    "EXISTS (SELECT 1 FROM lookalike_indexes "
    "WHERE collection = %s AND generation = %s AND fingerprint = %s)"
)

_TAIL = "SELECT indexed_through FROM lookalike_index_tails WHERE collection = %s"


class Probe(NamedTuple):
    """A cell to search; see `codes` for base, slope, step and bit planes."""

    cell: int
    base: float
    slope: float
    step: float
    planes: tuple[bytes, ...]


class Shortlist(NamedTuple):
    """What to read from the index: the `rows` best in the probed cells.

    probes, centre: for estimates from codes. metric, query: for servers that compare embeddings;
    the query as it was given, float32 as bytes.
    """

    generation: int
    fingerprint: bytes
    probes: Sequence[Probe]
    centre: float
    rows: int
    metric: str
    query: bytes


class SearchSQL(Primitives):
    """The statement that searches a collection's table through its index."""

    def search_codes(
        self, table: Table, shortlist: Shortlist, where: Filter | None = None
    ) -> Statement:
        """Select the embeddings of the shortlist and the tail, for exact ranking by the client.

        is_coded is 1 in the shortlist and 0 in the tail. A code whose row is gone has a NULL
        embedding. where: filter of rows. An outdated generation returns no rows.

        Rows in the log of a user's own table are ranked like those of the tail: their codes, which
        may be old, count as gone.
        """
        passing = and_(where)
        best = self.best_codes(table, shortlist, where)
        holds = (table.name, shortlist.generation, shortlist.fingerprint)
        logged = self._logged_rows(table, where, holds)
        embedding = self.embedding_bytes(table, "v.")
        changed, joined = "", ""
        if table.log:
            changed = f"WITH changed AS (SELECT DISTINCT id FROM {table.log})\n"
            embedding = f"IF(changed.id IS NULL, {embedding}, NULL)"
            joined = "LEFT JOIN changed ON changed.id = shortlist.id\n"
        sql = (
            f"{changed}SELECT v.{table.id}, {table.image_name('v.')}, "
            f"{embedding} AS embedding, 1 AS is_coded\n"
            f"FROM (\n{best.sql}\n"
            f") AS shortlist LEFT JOIN {table.sql} AS v ON v.{table.id} = shortlist.id\n"
            f"{joined}WHERE {_HOLDS}\n"
            "UNION ALL\n"
            f"SELECT {table.id}, {table.image_name()}, "
            f"{self.embedding_bytes(table)} AS embedding, 0\n"
            f"FROM {table.sql} AS v\n"
            f"WHERE {table.embedding} IS NOT NULL{passing.sql} AND {_HOLDS} AND {table.id} >\n"
            f"    ({_TAIL}){logged.sql}"
        )
        tail = (*passing.params, *holds, table.name)
        return Statement(sql, (*best.params, *holds, *tail, *logged.params))

    def _logged_rows(
        self, table: Table, where: Filter | None, holds: tuple[str | int | bytes, ...]
    ) -> Statement:
        """Return what adds the rows in the log up to the tail; nothing for a table without one."""
        if not table.log:
            return Statement("")
        passing = and_(where)
        return Statement(
            f"\nUNION ALL\nSELECT v.{table.id}, {table.image_name('v.')}, "
            f"{self.embedding_bytes(table, 'v.')}, 0\n"
            f"FROM changed STRAIGHT_JOIN {table.sql} AS v ON v.{table.id} = changed.id\n"
            f"WHERE v.{table.embedding} IS NOT NULL{passing.sql} AND {_HOLDS} "
            f"AND v.{table.id} <=\n    ({_TAIL})",
            (*passing.params, *holds, table.name),
        )

    def search_many_codes(self, table: Table, shortlists: Sequence[Shortlist]) -> Statement:
        """Select the same for many queries; the first column is the query's number."""
        each = [self.search_codes(table, shortlist) for shortlist in shortlists]
        return Statement(
            "\nUNION ALL\n".join(
                f"SELECT %s, found.* FROM (\n{sql}\n) AS found" for sql, _ in each
            ),
            tuple(value for number, (_, bound) in enumerate(each) for value in (number, *bound)),
        )

    def best_codes(self, table: Table, shortlist: Shortlist, where: Filter | None) -> Statement:
        """Select the ids of the best estimates in the probed cells."""
        # Saves a multiplication per row if all slopes are 1, as for cosine and euclidean.
        slope = "" if all(probe.slope == 1 for probe in shortlist.probes) else "probes.slope * "
        columns = ["cell", "base", *(["slope"] if slope else []), "step", "p0", "p1", "p2", "p3"]
        values = self.values_table("probes", columns, len(shortlist.probes))
        distance = " + ".join(
            f"{2**j} * BIT_COUNT(c.code ^ probes.p{j})" if j else "BIT_COUNT(c.code ^ probes.p0)"
            for j in range(4)
        )
        joined = ""
        if where is not None:
            joined = f"    JOIN {table.sql} AS v ON v.{table.id} = c.id\n    WHERE {where.sql}\n"
        sql = (
            "    SELECT STRAIGHT_JOIN c.id\n"
            f"    FROM {values}\n"
            f"    JOIN {codes_table(table, shortlist.generation)} AS c ON c.cell = probes.cell\n"
            f"{joined}"
            f"    ORDER BY probes.base + {slope}c.bias + probes.step * c.scale * (%s - (\n"
            f"        {distance})) DESC\n"
            "    LIMIT %s"
        )
        bound = [
            value
            for p in shortlist.probes
            for value in (p.cell, p.base, *([p.slope] if slope else []), p.step, *p.planes)
        ]
        passing = and_(where)
        return Statement(sql, (*bound, *passing.params, shortlist.centre, shortlist.rows))
