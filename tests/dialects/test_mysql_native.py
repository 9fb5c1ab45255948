"""Statements of MySQL AI, HeatWave and Percona, by their documentation: no server could be had.

MySQL Community with a stored function DISTANCE runs them as one of the engines.
"""

import numpy as np
import pytest

from lookalike.core.vectors import pack
from lookalike.dialects import Filter, Table
from lookalike.dialects.mysql_native import MySQLNative
from lookalike.dialects.registry import DIALECTS

TABLE = Table("own")
QUERY = pack(np.array([1, -2], np.float32))


def nearest(metric, **options):
    statement = MySQLNative().nearest(TABLE, metric, QUERY, 5, **options)
    assert statement.sql.count("%s") == len(statement.params)
    return statement


def test_they_are_recognised_by_distance_and_not_by_ours():
    """HeatWave, MySQL AI and Percona have DISTANCE built in; ours is a stored function."""
    assert DIALECTS[0] is MySQLNative
    probes = [str(probe) for probe in MySQLNative().probes()]
    assert (
        "SELECT DISTANCE(STRING_TO_VECTOR('[1]'), STRING_TO_VECTOR('[1]'), 'DOT') IS NOT NULL"
        in probes
    )
    assert any("information_schema.routines" in probe for probe in probes)


@pytest.mark.parametrize(
    ("metric", "call", "similarity", "order"),
    [
        ("cosine", "DISTANCE(embedding, %s, 'COSINE')", "1 - ", ""),
        ("euclidean", "DISTANCE(embedding, %s, 'EUCLIDEAN')", "-", ""),
        # The product itself, not negated: the largest are nearest.
        ("dot", "DISTANCE(embedding, %s, 'DOT')", "", " DESC"),
    ],
)
def test_a_search_may_use_an_index_that_the_server_keeps(metric, call, similarity, order):
    """It is asked for in the documented form: one value to order by, and a LIMIT."""
    statement = nearest(metric)
    ranked = statement.sql
    if metric == "cosine":  # what has none is left out of what was found
        head, ranked, end = ranked.split("\n")
        assert (head, end) == ("SELECT * FROM (", ") AS found WHERE similarity IS NOT NULL")
    assert f", {similarity}{call} AS similarity FROM" in ranked
    assert ranked.endswith(f"WHERE embedding IS NOT NULL ORDER BY {call}{order} LIMIT %s")
    assert statement.params == (QUERY, QUERY, 5)


def test_exact_searches_break_ties_by_id_and_leave_out_what_has_no_cosine():
    """Of zeros the cosine is NULL, which would come first."""
    call = "DISTANCE(embedding, %s, 'COSINE')"
    assert nearest("cosine", exact=True).sql.endswith(
        f"WHERE {call} IS NOT NULL ORDER BY {call}, id LIMIT %s"
    )
    assert nearest("dot", exact=True).sql.endswith("'DOT') DESC, id LIMIT %s")


def test_filters_come_before_the_query_in_the_order():
    where = Filter("v.price < %s", (3,))
    statement = nearest("cosine", where=where, exact=True)
    assert statement.params == (QUERY, QUERY, 3, QUERY, 5)
    assert nearest("euclidean", where=where).params == (QUERY, 3, QUERY, 5)
    assert "AND v.price < %s" in nearest("dot", where=where).sql.replace("(", "").replace(")", "")


def test_rows_of_zeros_take_no_places(db):
    """A server's cosine of them is NULL, and NULL comes first."""
    db.install_functions()
    db.dialect = MySQLNative()
    own = db.collection("own", dim=2)
    own.add_embeddings(["a", "b", "c"], [[1, 1], [1, 0], [0, 1]])
    zeros = "INSERT INTO own (image_name, embedding) VALUES ('0', %s), ('00', %s)"
    db.rows(zeros, (bytes(8), bytes(8)))
    for options in ({}, {"exact": True}, {"where": "image_name!=x"}):
        assert [match.id for match in own.search([1, 0.1], k=2, **options)] == [2, 1]
    assert [match.id for match in own.search([1, 0.1], k=9)] == [2, 1, 3]
    for options, expected in (
        ({"exact": True}, [2, 1]),
        ({}, []),
        ({"where": "image_name!=x"}, [2, 1]),
    ):
        # Of a statement that may use an index, they take places of others.
        rows = db.rows(*own.search_sql([1, 0.1], k=2, **options))[1]
        assert [row[0] for row in rows] == expected
