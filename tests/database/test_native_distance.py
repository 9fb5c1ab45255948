"""The native functions in the place of a server's DISTANCE: searches rank as numpy does.

One computes in float32, as Percona's DISTANCE does, and the other in double, as HeatWave's.
"""

import numpy as np
import pytest

from lookalike.dialects.mysql_native import MySQLNative
from lookalike.dialects.native import NATIVE_FUNCTIONS
from tests.oracle import nearest, similarities

DIM = 33
ERROR = {"lookalike_native_distance": 1e-5, "lookalike_native_distance_double": 1e-12}
METRICS = ("cosine", "euclidean", "dot")


@pytest.fixture(params=list(ERROR))
def distance(request, native):
    """The name of the native function that DISTANCE calls, in a database that ranks by it."""
    native.rows(
        "CREATE FUNCTION DISTANCE(v1 LONGBLOB, v2 LONGBLOB, metric TEXT) RETURNS DOUBLE "
        f"DETERMINISTIC NO SQL RETURN {request.param}(v1, v2, metric)"
    )
    native.dialect = MySQLNative()
    return request.param


@pytest.mark.parametrize("metric", METRICS)
def test_searches_rank_as_numpy_does(native, distance, metric):
    vectors = np.random.default_rng(5).standard_normal((200, DIM)).astype(np.float32)
    own = native.collection("own", dim=DIM, metric=metric)
    values = [{"half": i % 2} for i in range(200)]
    own.upsert(vectors, names=[f"v{i}" for i in range(200)], attributes=values)
    native.rows("INSERT INTO own (image_name, embedding) VALUES ('0', %s)", (bytes(4 * DIM),))
    own.remove(201) if metric != "cosine" else None  # zeros have no cosine
    for query in (vectors[3], 7 * vectors[4], -vectors[5]):
        scores, order = similarities(vectors, query, metric), nearest(vectors, query, metric)
        for options in ({"k": 300}, {"k": 9}, {"k": 9, "exact": True}, {"k": 9, "offset": 30}):
            start = options.get("offset", 0)
            expected = order[start : start + options["k"]]
            found = own.search(query, **options)
            assert [match.id for match in found] == expected
            assert [match.similarity for match in found] == pytest.approx(
                [scores[row_id - 1] for row_id in expected], rel=1e-5, abs=1e-5
            )
        even = [row_id for row_id in order if row_id % 2]  # ids begin with 1
        assert [match.id for match in own.search(query, k=9, where="half=0")] == even[:9]
        rows = native.rows(*own.search_sql(query, k=5, exact=True))[1]
        assert [row[0] for row in rows] == order[:5]
        assert [row[2] for row in rows] == pytest.approx(
            [scores[row_id - 1] for row_id in order[:5]], rel=ERROR[distance], abs=ERROR[distance]
        )


def test_the_functions_are_those_that_are_installed():
    assert set(ERROR) <= {each.name for each in NATIVE_FUNCTIONS}
