"""sys.ML_SIMILARITY_SEARCH: exact, as numpy ranks, and clear about what it cannot do."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import lookalike
from lookalike import DatabaseError
from lookalike.core.vectors import pack
from tests.own_server import own_server

NUMBERS = st.floats(width=32, allow_nan=False, allow_infinity=False)
COLUMNS = {"segment": "content", "segment_embedding": "embed", "document_name": "id"}
CALL = (
    "CALL sys.ML_SIMILARITY_SEARCH(%s, %s, %s, %s, %s, NULL, NULL, %s, "
    "@context, @context_map, @retrieval_info)"
)


@pytest.fixture
def ai(db):
    assert db.install_mysql_ai() == ["sys.ML_SIMILARITY_SEARCH"]
    yield db
    db.rows("DROP PROCEDURE sys.ML_SIMILARITY_SEARCH")


def named(db, table):
    return f"{db.connection.url.database}.{table}"


def store(db, table, vectors):
    """A table as Oracle's store makes it, with the vectors under the ids 0, 1, 2 ..."""
    db.rows(
        f"CREATE TABLE {table} (id VARCHAR(128) PRIMARY KEY, content TEXT, metadata JSON, "
        f"embed VECTOR({vectors.shape[1]}))"
    )
    rows = [(str(number), f"text {number}", pack(v)) for number, v in enumerate(vectors)]
    places = ", ".join(["(%s, %s, %s)"] * len(rows))
    db.rows(
        f"INSERT INTO {table} (id, content, embed) VALUES {places}",
        tuple(value for row in rows for value in row),
    )


def search(db, query, tables, k=3, *, metric="COSINE", options=None, columns=COLUMNS, packed=True):
    """What the procedure finds: the context map."""
    query = pack(np.asarray(query, np.float32)) if packed else query
    tables, columns, options = (
        None if x is None else json.dumps(x) for x in (tables, columns, options)
    )
    with db.session():
        columns_of_result, rows = db.rows(CALL, (query, tables, columns, k, metric, options))
        assert not columns_of_result and not rows
        ((context, found, info),) = db.rows("SELECT @context, @context_map, @retrieval_info")[1]
    found = json.loads(found)
    assert context == "\n".join(each["segment"] or "" for each in found)
    assert json.loads(info)["distance_metric"] == metric.upper()
    return found


def distances(vectors, query, metric):
    """Distances in float64, and the same with their sign such that less is nearer."""
    x, y = vectors.astype(np.float64), query.astype(np.float64)
    if metric == "DOT":
        return x @ y, -(x @ y)
    if metric == "EUCLIDEAN":
        found = np.linalg.norm(x - y, axis=1)
    else:
        found = 1 - x @ y / (np.linalg.norm(x, axis=1) * np.linalg.norm(y))
    return found, found


@pytest.mark.parametrize("metric", ["COSINE", "Euclidean", "dot"])
@pytest.mark.parametrize("dim", [1, 3, 4, 127, 512])
def test_the_nearest_are_numpys(ai, metric, dim):
    rng = np.random.default_rng(dim)
    vectors, query = rng.standard_normal((30, dim)), rng.standard_normal(dim)
    vectors, query = vectors.astype(np.float32), query.astype(np.float32)
    store(ai, "texts", vectors)
    expected, away = distances(vectors, query, metric.upper())
    found = search(ai, query, [named(ai, "texts")], 7, metric=metric)
    best = np.sort(away)[:7]
    assert [abs(each["distance"]) for each in found] == pytest.approx(abs(best), abs=1e-12)
    for each in found:  # with one dim, cosine distances are equal
        assert each["distance"] == pytest.approx(expected[int(each["document_name"])], abs=1e-12)
        assert each["segment"] == f"text {each['document_name']}"
        assert each["vector_store"] == named(ai, "texts")


@given(st.data())
@settings(
    deadline=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_any_numbers_are_exact(ai, data):
    dim = data.draw(st.integers(1, 20))
    v, w = (data.draw(arrays(np.float32, dim, elements=NUMBERS)) for _ in range(2))
    ai.rows("DROP TABLE IF EXISTS texts")
    store(ai, "texts", v[None])
    a, b = v.astype(np.float64), w.astype(np.float64)
    (dot,) = search(ai, w, [named(ai, "texts")], metric="DOT")
    assert dot["distance"] == pytest.approx(a @ b, abs=1e-13 * (abs(a) @ abs(b)) + 1e-300)
    (euclidean,) = search(ai, w, [named(ai, "texts")], metric="EUCLIDEAN")
    assert euclidean["distance"] == pytest.approx(np.linalg.norm(a - b), rel=1e-13)
    cosine = [each["distance"] for each in search(ai, w, [named(ai, "texts")])]
    norms = np.linalg.norm(a) * np.linalg.norm(b)
    # a vector of zeros has no direction, and is not found
    assert cosine == ([pytest.approx(1 - a @ b / norms, abs=1e-12)] if norms else [])


def test_the_longest_vectors(ai):
    vectors = np.random.default_rng(1).standard_normal((3, 16383)).astype(np.float32)
    store(ai, "texts", vectors)
    found = search(ai, vectors[1], [named(ai, "texts")], 2)
    expected = np.sort(distances(vectors, vectors[1], "COSINE")[0])[:2]
    assert found[0]["document_name"] == "1"
    assert [each["distance"] for each in found] == pytest.approx(expected, abs=1e-12)


def test_several_tables_are_ranked_as_one(ai):
    rng = np.random.default_rng(2)
    vectors = rng.standard_normal((40, 8)).astype(np.float32)
    store(ai, "some", vectors[:20])
    store(ai, "others", vectors[20:])
    found = search(ai, vectors[0], [named(ai, "some"), named(ai, "others")], 10)
    order = np.argsort(distances(vectors, vectors[0], "COSINE")[0])[:10]
    assert [
        int(each["document_name"]) + 20 * (each["vector_store"] == named(ai, "others"))
        for each in found
    ] == order.tolist()


@pytest.mark.parametrize("metric", ["COSINE", "EUCLIDEAN", "DOT"])
@pytest.mark.parametrize(
    "options",
    [
        {"max_distance": 0.6},
        {"percentage_distance": 20.0},
        {"max_distance": 0.9, "percentage_distance": 50, "segment_overlap": 0},
        {"max_distance": 0, "percentage_distance": 0},
        {"max_distance": None},
        {},
    ],
)
def test_distances_are_limited(ai, metric, options):
    rng = np.random.default_rng(3)
    vectors = np.abs(rng.standard_normal((40, 4))).astype(np.float32)
    store(ai, "texts", vectors)
    query = np.ones(4, np.float32)
    found = search(ai, query, [named(ai, "texts")], 40, metric=metric, options=options)
    _, away = distances(vectors, query, metric)
    limit = options.get("max_distance")
    limit = np.inf if limit is None else limit
    if "percentage_distance" in options:
        nearest = away.min()
        limit = min(limit, nearest + abs(nearest) * options["percentage_distance"] / 100)
    order = np.argsort(away)
    assert [int(each["document_name"]) for each in found] == order[away[order] <= limit].tolist()


def test_a_vector_is_at_no_distance_from_itself_in_spite_of_rounding(ai):
    vectors = np.array([[0.1, 0.7], [0.2, 1.4], [1, 0]], np.float32)
    store(ai, "texts", vectors)
    found = search(ai, vectors[0], [named(ai, "texts")], options={"percentage_distance": 20})
    assert [each["document_name"] for each in found] == ["0", "1"]


def test_what_is_empty_is_an_empty_list(ai):
    store(ai, "texts", np.ones((2, 2), np.float32))
    ai.rows("INSERT INTO texts (id) VALUES ('without an embedding')")
    assert search(ai, [1, 1], [named(ai, "texts")], 0) == []
    assert search(ai, [-1, -1], [named(ai, "texts")], options={"max_distance": 0.6}) == []
    assert len(search(ai, [1, 1], [named(ai, "texts")], 10)) == 2
    ai.rows("DELETE FROM texts")
    assert search(ai, [1, 1], [named(ai, "texts")]) == []


def test_segments_of_any_length_and_text(ai):
    text = "é'\"\\\n`" * 100_000
    ai.rows("CREATE TABLE texts (id INT PRIMARY KEY, content LONGTEXT, embed VECTOR(2))")
    row = (text, pack(np.ones(2, np.float32)))
    ai.rows("INSERT INTO texts VALUES (7, %s, %s)", row)
    (found,) = search(ai, [1, 1], [named(ai, "texts")])
    assert found["segment"] == text and found["document_name"] == "7"


def test_names_with_any_signs(ai):
    table = "a`.`b; DROP TABLE texts -- '\"\\"
    quoted = "`" + table.replace("`", "``") + "`"
    column = "e``#?' FROM x"
    database = ai.connection.url.database
    ai.rows(f"CREATE TABLE {quoted} (`{column}` VECTOR(2), `i d` INT)".replace("%", "%%"))
    ai.rows(f"INSERT INTO {quoted} VALUES (%s, 5)", (pack(np.ones(2, np.float32)),))
    columns = {"segment_embedding": column.replace("``", "`"), "document_name": "I D"}
    for name in (f"`{database}`.{quoted}", f"{database}.{table}"):
        (found,) = search(ai, [1, 2], [name], columns=columns)
        assert found["document_name"] == "5" and found["segment"] is None


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"query": None}, "query_embedding is NULL"),
        ({"query": b"abc"}, "query_embedding is not a VECTOR"),
        ({"query": b""}, "query_embedding is not a VECTOR"),
        ({"query": bytes(12)}, "the query has 3 numbers, and 2 has a vector in test_"),
        ({"metric": "L2"}, "the metric is COSINE, EUCLIDEAN or DOT, not L2"),
        ({"metric": None}, "the metric is COSINE, EUCLIDEAN or DOT, not NULL"),
        ({"k": None}, "k is NULL"),
        ({"tables": None}, "tables is not an array"),
        ({"tables": []}, "tables is not an array"),
        ({"tables": "texts"}, "tables is not an array"),
        ({"tables": ["nowhere.texts"]}, "no table nowhere.texts"),
        ({"tables": ["texts"]}, "no table texts"),
        ({"tables": [None]}, "no table null"),
        ({"tables": ["x; DROP TABLE texts"]}, "no table x; DROP TABLE texts"),
        ({"columns": None}, "columns is not an object"),
        ({"columns": {}}, "no VECTOR column NULL in test_"),
        ({"columns": {"segment_embedding": "content"}}, "no VECTOR column content in test_"),
        ({"columns": {**COLUMNS, "segment": "x"}}, "no column x in test_"),
        ({"columns": {**COLUMNS, "document_name": "y"}}, "no column y in test_"),
        ({"columns": {**COLUMNS, "metadata": "metadata"}}, "columns is not an object"),
        ({"options": {"max_distance": "far"}}, "max_distance is not a number"),
        ({"options": {"percentage_distance": [1]}}, "percentage_distance is not a number"),
        ({"options": {"segment_overlap": 1}}, "segment_overlap has to be 0"),
        ({"options": {"limit": 1}}, "options are max_distance"),
        ({"options": [1]}, "options are max_distance"),
    ],
)
def test_what_cannot_be_done_is_told(ai, changed, message):
    store(ai, "texts", np.ones((2, 2), np.float32))
    asked = {"query": bytes(8), "tables": [named(ai, "texts")], **changed}
    with pytest.raises(DatabaseError, match=f"ML_SIMILARITY_SEARCH: {message}"):
        search(ai, **asked, packed=False)


def test_it_runs_inside_a_transaction(ai, database_url):
    store(ai, "texts", np.eye(2, dtype=np.float32))
    with ai.session():
        ai.rows("START TRANSACTION")
        ai.rows("INSERT INTO texts (id, embed) VALUES ('new', STRING_TO_VECTOR('[1,1]'))")
        query, tables = pack(np.ones(2, np.float32)), json.dumps([named(ai, "texts")])
        ai.rows(CALL, (query, tables, json.dumps(COLUMNS), 1, "COSINE", None))
        ((found,),) = ai.rows("SELECT @context_map")[1]
        assert json.loads(found)[0]["document_name"] == "new"
        ai.rows("ROLLBACK")
    assert ai.rows("SELECT COUNT(*) FROM texts")[1] == [(2,)]


def test_installing_twice_is_harmless(ai):
    ai.install_mysql_ai()
    store(ai, "texts", np.ones((1, 2), np.float32))
    assert search(ai, [1, 2], [named(ai, "texts")])


def test_a_procedure_of_somebody_else_stays(db):
    db.rows("CREATE PROCEDURE sys.ML_SIMILARITY_SEARCH() SELECT 'theirs'")
    try:
        with pytest.raises(DatabaseError, match="has a sys.ML_SIMILARITY_SEARCH of its own"):
            db.install_mysql_ai()
        assert db.rows("CALL sys.ML_SIMILARITY_SEARCH()")[1] == [("theirs",)]
    finally:
        db.rows("DROP PROCEDURE sys.ML_SIMILARITY_SEARCH")


def test_what_a_user_lacks_is_told_and_is_enough(installed_mysqld):
    with own_server(installed_mysqld) as server:
        server.run("CREATE DATABASE shop", "CREATE USER maker@'%'", "GRANT ALL ON shop.* TO maker")
        with lookalike.connect(server.url("shop", "maker")) as db:
            with pytest.raises(DatabaseError) as refused:
                db.install_mysql_ai()
            remedy = str(refused.value).partition("have an administrator run ")[2]
            needed = "GRANT CREATE ROUTINE, ALTER ROUTINE, EXECUTE ON `sys`.* TO 'maker'@'%';"
            assert remedy == needed
            assert "lacks CREATE ROUTINE, ALTER ROUTINE, EXECUTE on database sys" in str(
                refused.value
            )
            server.run(remedy.rstrip(";"))
        with lookalike.connect(server.url("shop", "maker")) as db:
            db.install_mysql_ai()
            store(db, "texts", np.ones((1, 2), np.float32))
            assert search(db, [1, 2], ["shop.texts"])
        # It reads with the rights of whoever calls it.
        server.run(
            "CREATE USER guest@'%'",
            "GRANT EXECUTE ON PROCEDURE sys.ML_SIMILARITY_SEARCH TO guest",
            "GRANT CREATE ON other.* TO guest",
            "CREATE DATABASE other",
        )
        with (
            lookalike.connect(server.url("other", "guest")) as db,
            pytest.raises(DatabaseError, match="no table shop.texts"),
        ):
            search(db, [1, 2], ["shop.texts"])
