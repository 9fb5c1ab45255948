"""Searches by stored procedures, compared with numpy."""

import json
import uuid
from functools import cache

import numpy as np
import pytest

import lookalike
from lookalike import DatabaseError, IndexSizes
from lookalike.dialects import procedures
from lookalike.index import ivf, probes
from lookalike.index.rotation import WIDTH
from lookalike.search import options
from tests.oracle import similarities

DIM, ROWS = 48, 700
METRICS = ["cosine", "euclidean", "dot"]
ALL_CELLS = '{"n_probes": 1000}'
"""Makes a search use the index, even where training found it slower than comparing all rows."""


def clustered(n: int, dim: int = DIM, seed: int = 0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(99).normal(size=(20, dim))
    vectors = centres[rng.integers(0, 20, n)] + rng.normal(size=(n, dim)) / 2
    return vectors.astype(np.float32)


def call(db, procedure, *arguments):
    marks = ", ".join(["%s"] * len(arguments))
    return db.rows(f"CALL {procedure}({marks})", arguments)[1]


def search(db, query, k=10, wanted=None, name="mine"):
    return call(db, "lookalike_search_with", name, query.tobytes(), k, wanted)


def fill(db, metric="cosine", dim=DIM, n=ROWS, name="mine"):
    collection = db.collection(name, dim=dim, metric=metric)
    vectors = clustered(n, dim)
    collection.add_embeddings([f"shape {i}" for i in range(n)], vectors)
    return collection, vectors


@pytest.fixture(scope="module")
def routines(module_database_url):
    """The database of this module, with the functions."""
    sizes = IndexSizes(fewest_rows=50, rows_for_cells=200)
    with lookalike.connect(module_database_url, index_sizes=sizes) as db:
        db.install_functions()
        yield db


@pytest.fixture
def functions(routines):
    """The same, for a test that writes to `mine`."""
    yield routines
    if "mine" in routines.collections():
        routines.delete_collection("mine")


@pytest.fixture(scope="module")
def read_only(routines):
    """The database, the name and the vectors of a collection which tests read, filled once."""

    @cache
    def filled(metric, dim):
        name = "shapes" if (metric, dim) == ("cosine", DIM) else f"{metric}_{dim}"
        return routines, name, fill(routines, metric, dim, name=name)[1]

    return lambda metric, dim=DIM: filled(metric, dim)


@pytest.fixture
def shapes(read_only):
    return read_only("cosine")


def assert_best(rows, expected, atol=1e-5):
    """Ids, names and similarities of the best of expected, (n,), best first."""
    best = np.argsort(-expected, kind="stable")[: len(rows)]
    assert [row[0] for row in rows] == (best + 1).tolist()
    assert [row[1] for row in rows] == [f"shape {i}" for i in best]
    assert np.allclose([row[2] for row in rows], expected[best], atol=atol)


def recall(rows, expected):
    best = np.argsort(-expected)[: len(rows)] + 1
    return len({row[0] for row in rows} & set(best.tolist())) / len(rows)


def test_the_settings_are_those_of_searches_in_python():
    assert procedures.WIDTH == WIDTH
    expected = {
        "spreads": f"{ivf._SPREADS:.0f}e0",
        "oversampling": f"{options._OVERSAMPLING:.0f}e0",
        "least_rescored": str(probes.LEAST_RESCORED),
        "max_k": str(options.MAX_K),
        "max_length": f"{ivf.MAX_LENGTH!r}e0",
    }
    assert expected == procedures._SETTINGS


@pytest.mark.parametrize("metric", METRICS)
def test_a_search_finds_what_numpy_finds(read_only, metric):
    db, name, vectors = read_only(metric)
    for query in clustered(3, seed=3):
        expected = similarities(vectors, query, metric)
        for argument in (query.tobytes(), json.dumps(query.tolist())):
            assert_best(call(db, "lookalike_search", name, argument, 10), expected)


@pytest.mark.parametrize(
    ("metric", "dim"),
    [*((metric, DIM) for metric in METRICS), ("cosine", 5), ("euclidean", 100), ("dot", 512)],
)
def test_a_search_through_the_index_finds_nearly_all(read_only, metric, dim):
    db, name, vectors = read_only(metric, dim)
    shares = []
    for query in clustered(10, dim, seed=4):
        rows = search(db, query, wanted=ALL_CELLS, name=name)
        assert [row[2] for row in rows] == sorted((row[2] for row in rows), reverse=True)
        shares.append(recall(rows, similarities(vectors, query, metric)))
    assert len(rows) == 10 and np.mean(shares) >= 0.99


def test_long_vectors_have_more_digits_than_other_clients_concatenate(functions):
    """5000 numbers are 157 * 32, and their planes have more than 1024 hex digits."""
    collection, vectors = fill(functions, dim=5000, n=60)
    query = clustered(1, 5000, seed=4)[0]
    with functions.session():
        functions.rows("SET group_concat_max_len = 1024")
        rows = search(functions, query, k=5, wanted=ALL_CELLS)
        assert_best(rows, similarities(vectors, query))
        functions.rows("INSERT INTO mine (embedding) VALUES (%s)", (query,))
        assert call(functions, "lookalike_refresh", "mine") == [(1,)]
        with pytest.raises(DatabaseError, match="mine has no row with id"):
            call(functions, "lookalike_similar", "mine", "", 5)
        with pytest.raises(DatabaseError, match="mine has no row with id NULL"):
            call(functions, "lookalike_similar", "mine", None, 5)
        with pytest.raises(DatabaseError, match="the vector is NULL"):
            call(functions, "lookalike_search", "mine", None, 5)
        assert functions.rows("SELECT @@group_concat_max_len")[1] == [(1024,)]
    assert collection.index.check().is_consistent


def test_a_search_sees_new_changed_and_deleted_rows(functions):
    _, vectors = fill(functions)
    query = clustered(1, seed=5)[0]
    functions.rows("INSERT INTO mine (image_name, embedding) VALUES ('new', %s)", (query,))
    near = int(np.argmax(similarities(vectors, query)))
    functions.rows("DELETE FROM mine WHERE id = %s", (near + 1,))
    rows = search(functions, query, wanted=ALL_CELLS)
    assert rows[0][:2] == (ROWS + 1, "new") and rows[0][2] == pytest.approx(1)
    assert near + 1 not in [row[0] for row in rows]


def test_a_search_outlives_a_new_generation_and_lost_tables(functions):
    collection, vectors = fill(functions)
    query = clustered(1, seed=5)[0]
    expected = similarities(vectors, query)
    collection.index.build()
    assert recall(search(functions, query, wanted=ALL_CELLS), expected) >= 0.9
    functions.rows("DROP TABLE mine_codes_2")
    assert_best(search(functions, query, wanted=ALL_CELLS), expected)


def test_similar_rows_are_not_the_row_itself(shapes):
    db, _, vectors = shapes
    expected = similarities(vectors, vectors[7])
    expected[7] = -np.inf
    assert_best(call(db, "lookalike_similar", "shapes", "8", 10), expected)
    with pytest.raises(DatabaseError, match="shapes has no row with id 9999"):
        call(db, "lookalike_similar", "shapes", "9999", 10)


def test_results_can_be_joined(shapes):
    db, _, vectors = shapes
    query = clustered(1, seed=6)[0]
    with db.session():
        db.rows("CREATE TEMPORARY TABLE prices (id INT PRIMARY KEY, price INT)")
        db.rows("INSERT INTO prices SELECT id, 10 * id FROM shapes")
        call(db, "lookalike_search_into", "shapes", query.tobytes(), 5, None)
        _, rows = db.rows(
            "SELECT r.id, name, similarity, price FROM lookalike_result AS r "
            "JOIN prices USING (id) ORDER BY place"
        )
        assert_best(rows, similarities(vectors, query))
        assert [row[3] for row in rows] == [10 * row[0] for row in rows]
        call(db, "lookalike_similar_into", "shapes", "3", 5, None)
        assert db.rows("SELECT COUNT(*) FROM lookalike_result")[1] == [(5,)]
        db.rows("DROP TEMPORARY TABLE prices")


def test_min_similarity_leaves_out_what_is_farther(shapes):
    db, name, vectors = shapes
    query = clustered(1, seed=6)[0]
    expected = similarities(vectors, query)
    least = float(np.sort(expected)[-4]) - 1e-4
    rows = search(db, query, wanted=json.dumps({"min_similarity": least}), name=name)
    assert len(rows) == 4
    assert_best(rows, expected)


@pytest.fixture(scope="module")
def shop(routines):
    """Rows with columns of their own, and attributes, which tests read."""
    collection, vectors = fill(routines, name="shop")
    routines.rows(
        "ALTER TABLE shop ADD price INT, ADD `the brand``s` VARCHAR(20), ADD sold BIGINT UNSIGNED"
    )
    routines.rows(
        "UPDATE shop SET price = id MOD 100, sold = 18446744073709551615 - id, "
        "`the brand``s` = IF(id MOD 3, ELT(id MOD 3, 'acme', 'o''Neil'), NULL)"
    )
    colours = ["red", "blue"]
    collection.attributes.set(
        [{"path": f"shape {i}", "stars": i % 6, "colour": colours[i % 2]} for i in range(ROWS)]
    )
    return routines, vectors


IDS = np.arange(1, ROWS + 1)
BRANDS = np.array(["", "acme", "o'Neil"])[IDS % 3]
WHERE = {
    '{"price": {"<": 50}}': IDS % 100 < 50,
    '{"price": {">=": 10, "<=": 12.5}}': (IDS % 100 >= 10) & (IDS % 100 <= 12),
    '{"price": [1, 2], "the brand`s": "acme"}': np.isin(IDS % 100, [1, 2]) & (BRANDS == "acme"),
    '{"the brand`s": "O\'NEIL"}': BRANDS == "o'Neil",  # as the column's collation compares
    '{"the brand`s": null}': BRANDS == "",
    '{"the brand`s": {"!=": null}, "price": {"!=": 5}}': (BRANDS != "") & (IDS % 100 != 5),
    '{"sold": {">": 18446744073709551000}}': IDS < 615,
    '{"stars": 5, "colour": "blue"}': (IDS - 1) % 6 == 5,
    '{"stars": {">": 3}}': (IDS - 1) % 6 > 3,
    '{"price": []}': IDS < 0,
    '{"price": {"<": 0}}': IDS < 0,
    "{}": IDS > 0,
}


@pytest.mark.parametrize("n_probes", [None, 4])
def test_filters(shop, n_probes):
    db, vectors = shop
    query = clustered(1, seed=8)[0]
    for where, passing in WHERE.items():
        wanted = {"where": json.loads(where)} | ({"n_probes": n_probes} if n_probes else {})
        rows = search(db, query, wanted=json.dumps(wanted), name="shop")
        assert len(rows) == min(10, passing.sum()), where
        expected = np.where(passing, similarities(vectors, query), -np.inf)
        assert not rows or recall(rows, expected) >= 0.9, where


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ('{"1 OR 1": 1}', "there is no column 1 OR 1 in shop"),
        ('{"price`": 1}', "there is no column price` in shop"),
        ('{"price": {"< 0 OR 1 --": 1}}', "price cannot be compared by < 0 OR 1 --"),
        ('{"price": {"in": 1}}', "price cannot be compared by in"),
        ('{"price": {"=": [1]}}', "price cannot be compared by ="),
        ('{"price": {"=": {"<": 1}}}', "a filter cannot compare with"),
        ('["price"]', "where is no JSON object"),
        ('"price < 5"', "where is no JSON object"),
    ],
)
def test_filters_hold_no_sql(shop, where, message):
    db, _ = shop
    with pytest.raises(DatabaseError, match=message):
        search(db, clustered(1)[0], wanted=f'{{"where": {where}}}', name="shop")


@pytest.mark.parametrize("value", ["x' OR '1'='1", "(SELECT 1)", "1 -- ", "/* */ 1", "\\"])
def test_values_of_filters_are_no_sql(shop, value):
    wanted = json.dumps({"where": {"the brand`s": value}})
    assert search(shop[0], clustered(1)[0], wanted=wanted, name="shop") == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nothing", "[1]", 3, None), "no collection or index is named nothing"),
        ((None, "[1]", 3, None), "no collection or index is named NULL"),
        (("shapes`; DROP TABLE x", "[1]", 3, None), "no collection or index is named"),
        (("lookalike_indexes", "[1]", 3, None), "no collection or index is named"),
        (("shapes", None, 3, None), "the vector is NULL"),
        (("shapes", "[1, 2]", 3, None), r"the vector has 2\.0+ numbers, and the index 48"),
        (("shapes", b"\0" * 191, 3, None), "the vector has 47.75"),
        (("shapes", "", 3, None), "the vector has 0"),
        (("shapes", "[1, two]", 3, None), "this is not a vector of finite numbers"),
        (("shapes", np.full(DIM, np.nan, np.float32).tobytes(), 3, None), "not finite"),
        (("shapes", np.full(DIM, np.inf, np.float32).tobytes(), 3, None), "not finite"),
        (("shapes", bytes(4 * DIM), 3, None), "a vector of zeros has no cosine"),
        (("shapes", bytes(4 * DIM), 0, None), "k is 0; ask for 1 to 10000"),
        (("shapes", bytes(4 * DIM), 10_001, None), "k is 10001"),
        (("shapes", bytes(4 * DIM), None, None), "k is NULL"),
        (("shapes", bytes(4 * DIM), 3, "[]"), "the options are no JSON object"),
        (("shapes", bytes(4 * DIM), 3, '{"kk": 1}'), "there is no option kk; there are where"),
        (("shapes", bytes(4 * DIM), 3, '{"min_similarity": "a"}'), "min_similarity is no number"),
        (("shapes", bytes(4 * DIM), 3, '{"n_probes": 0}'), "n_probes is no number of cells"),
        (("shapes", bytes(4 * DIM), 3, '{"n_probes": "1; x"}'), "n_probes is no number of cells"),
    ],
)
def test_bad_arguments_are_refused_in_one_line(shapes, arguments, message):
    with pytest.raises(DatabaseError, match=message) as caught:
        call(shapes[0], "lookalike_search_with", *arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "mode", ["ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT,NO_UNSIGNED_SUBTRACTION", ""]
)
def test_any_sql_mode(db, mode):
    with db.session():
        db.rows("SET sql_mode = %s", (mode,))
        db.install_functions()
        collection, vectors = fill(db)
        query = clustered(1, seed=9)[0]
        rows = search(db, query, wanted='{"n_probes": 1000, "where": {"id": {">": 0}}}')
        assert recall(rows, similarities(vectors, query)) >= 0.9
        db.rows("INSERT INTO mine (embedding) VALUES (%s)", (query.tobytes(),))
        assert call(db, "lookalike_refresh", "mine") == [(1,)]
        assert collection.index.check().is_consistent


@pytest.mark.parametrize("metric", METRICS)
def test_the_server_encodes_rows_as_python_does(functions, metric):
    """`check` computes each code anew, and refuses others."""
    collection, _ = fill(functions, metric)
    added = clustered(80, seed=11) * np.geomspace(0.01, 100, 80, dtype=np.float32)[:, None]
    for row in added:
        functions.rows("INSERT INTO mine (image_name, embedding) VALUES ('n', %s)", (row,))
    functions.rows("INSERT INTO mine (image_name) VALUES ('no embedding')")
    functions.rows("INSERT INTO mine (embedding) VALUES (%s)", (bytes(4 * DIM),))
    codes = 80 if metric == "cosine" else 81
    assert call(functions, "lookalike_refresh", "mine") == [(codes,)]
    report = collection.index.check()
    assert report.is_consistent and report.codes == ROWS + codes
    assert call(functions, "lookalike_refresh", "mine") == [(0,)]
    if metric != "dot":
        assert collection.search(added[40], k=1)[0].id == ROWS + 41


def test_removing_a_row_that_the_server_encoded(functions):
    collection, _ = fill(functions)
    functions.rows("INSERT INTO mine (embedding) VALUES (%s)", (clustered(1, seed=5)[0],))
    call(functions, "lookalike_refresh", "mine")
    assert collection.remove_rows([ROWS + 1]) == 1
    report = collection.index.check()
    assert report.is_consistent and report.codes == ROWS
    explain = "EXPLAIN FORMAT=TRADITIONAL DELETE FROM mine_codes_1 WHERE id IN (1, 2)"
    assert functions.rows(explain)[1][0][6] == "id"  # the key: no scan


def test_a_copy_in_memory_sees_what_the_server_encoded(functions):
    collection, _ = fill(functions, n=6000)
    with collection.hold_index() as held:
        assert held.wait(30)
        query = clustered(1, seed=12)[0]
        functions.rows("INSERT INTO mine (embedding) VALUES (%s)", (query,))
        call(functions, "lookalike_refresh", "mine")
        assert collection.search(query, k=1)[0].id == 6001
        functions.rows("DELETE FROM mine WHERE id = 6001")
        assert collection.search(query, k=1)[0].id != 6001


def test_a_refresh_without_an_index_says_so(functions):
    functions.collection("mine", dim=DIM).add_embeddings(["a"], clustered(1))
    with pytest.raises(DatabaseError, match="run lookalike index rebuild"):
        call(functions, "lookalike_refresh", "mine")


def test_a_user_who_may_only_read_can_search(shapes, module_database_url):
    db, _, vectors = shapes
    name, database = f"u{uuid.uuid4().hex[:12]}", db.connection.url.database
    db.rows(f"CREATE USER {name}@localhost")
    try:
        db.rows(
            f"GRANT SELECT, EXECUTE, CREATE TEMPORARY TABLES ON {database}.* TO {name}@localhost"
        )
        with lookalike.connect(module_database_url.replace("//root@", f"//{name}@")) as reader:
            query = clustered(1, seed=13)[0]
            rows = search(reader, query, wanted=ALL_CELLS, name="shapes")
            assert recall(rows, similarities(vectors, query)) >= 0.9
    finally:
        db.rows(f"DROP USER {name}@localhost")


def test_distance_and_version(shapes):
    db = shapes[0]
    v, w = clustered(2)
    _, rows = db.rows(
        "SELECT lookalike_distance(%s, %s, 'cosine'), lookalike_version()",
        (v.tobytes(), w.tobytes()),
    )
    assert rows[0][0] == pytest.approx(1 - similarities(v[None], w)[0], abs=1e-6)
    assert rows[0][1] == lookalike.__version__
    query = "SELECT lookalike_distance(embedding, embedding, 'EUCLIDEAN') FROM shapes LIMIT 1"
    assert db.rows(query)[1] == [(0,)]
