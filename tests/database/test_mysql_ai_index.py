"""sys.ML_SIMILARITY_SEARCH through lookalike's indexes, and exact without them."""

import json
import uuid

import numpy as np
import pytest

import lookalike
from lookalike import IndexSizes
from lookalike.core.vectors import pack
from tests.database.test_mysql_ai import CALL, distances, named, store

DIM, ROWS = 24, 400
COLUMNS = {"segment": "title", "segment_embedding": "embedding", "document_name": "id"}
METRICS = ["cosine", "euclidean", "dot"]


@pytest.fixture
def index_sizes():
    return IndexSizes(fewest_rows=50, rows_for_cells=200)


@pytest.fixture
def ai(db):
    db.install_functions()
    db.install_mysql_ai()
    yield db
    db.rows("DROP PROCEDURE sys.ML_SIMILARITY_SEARCH")


def vectors_of(seed, n=ROWS):
    """Vectors in clusters, whose nearest an index surely finds."""
    centres = np.random.default_rng(99).normal(size=(20, DIM))
    rng = np.random.default_rng(seed)
    return (centres[rng.integers(0, 20, n)] + rng.normal(size=(n, DIM)) / 2).astype(np.float32)


def indexed(db, name, vectors, *, keys=None, key_type="INT", metric="cosine", schema=None):
    """A table of the user's own with an index, which searches use."""
    keys = range(len(vectors)) if keys is None else keys
    table = f"{schema or db.connection.url.database}.{name}"
    db.rows(
        f"CREATE TABLE {table} (id {key_type} PRIMARY KEY, title VARCHAR(99), "
        f"embedding VECTOR({DIM}))"
    )
    for key, vector in zip(keys, vectors, strict=True):
        db.rows(f"INSERT INTO {table} VALUES (%s, %s, %s)", (key, f"row {key}", pack(vector)))
    images = db.table(name, schema=schema, vector="embedding", metric=metric)
    use_indexes(db)
    return images


def use_indexes(db):
    """Training may find that all rows of a small table are compared as quickly."""
    db.rows("UPDATE lookalike_indexes SET n_probes = 1000")


def search(db, query, tables, k=10, *, metric="COSINE", options=None, columns=COLUMNS):
    """What is found, and the last index that was used."""
    arguments = (pack(query), json.dumps(tables), json.dumps(columns), k, metric)
    with db.session():
        db.rows("SET @lookalike_n_found = NULL, @lookalike_key = NULL")
        columns, rows = db.rows(CALL, (*arguments, options and json.dumps(options)))
        assert not columns and not rows
        found, key = db.rows("SELECT @context_map, @lookalike_key")[1][0]
        left = "SELECT COUNT(*) FROM lookalike_result"
        with pytest.raises(lookalike.DatabaseError, match="doesn't exist|denied"):
            db.rows(left)
    return json.loads(found), key


def names_of(found):
    return [each["document_name"] for each in found]


@pytest.mark.parametrize("metric", METRICS)
def test_an_index_finds_what_numpy_finds(ai, metric):
    vectors, query = vectors_of(1), vectors_of(2, 1)[0]
    indexed(ai, "goods", vectors, metric=metric)
    exact, away = distances(vectors, query, metric.upper())
    best = np.argsort(away)[:10]
    found, key = search(ai, query, [named(ai, "goods")], metric=metric.upper())
    assert key == "lookalike_1"
    assert names_of(found) == [str(i) for i in best]
    assert [each["distance"] for each in found] == pytest.approx(exact[best], abs=1e-12)
    assert found[0]["segment"] == f"row {best[0]}"
    for other in METRICS:
        if other != metric:  # all rows are compared by another metric
            found, key = search(ai, query, [named(ai, "goods")], metric=other)
            order = np.argsort(distances(vectors, query, other.upper())[1])[:10]
            assert key is None and names_of(found) == [str(i) for i in order]


@pytest.mark.nightly
def test_a_collection_and_several_tables_are_ranked_as_one(ai):
    """With an index: a collection and a table; without: a store's."""
    vectors, query = vectors_of(1, 3 * ROWS), vectors_of(2, 1)[0]
    photos = ai.collection("photos", dim=DIM)
    photos.add_embeddings([f"photo {i}" for i in range(ROWS)], vectors[:ROWS])
    indexed(
        ai,
        "goods",
        vectors[ROWS : 2 * ROWS],
        keys=[f"k{i}é" for i in range(ROWS)],
        key_type="VARCHAR(20) CHARACTER SET latin1",
    )
    store(ai, "texts", vectors[2 * ROWS :])
    ai.rows("ALTER TABLE texts RENAME COLUMN embed TO embedding")
    tables = [named(ai, name) for name in ("goods", "texts", "photos")]
    columns = {"segment_embedding": "embedding", "document_name": "id"}
    found, key = search(ai, query, tables, 25, columns=columns)
    assert key == "photos"  # the last one through an index
    names = [*range(1, ROWS + 1), *(f"k{i}é" for i in range(ROWS)), *range(ROWS)]
    places = [*(3 - 1,) * ROWS, *(0,) * ROWS, *(1,) * ROWS]
    order = np.argsort(distances(vectors, query, "COSINE")[0])[:25]
    assert [(each["document_name"], each["vector_store"]) for each in found] == [
        (str(names[i]), tables[places[i]]) for i in order
    ]
    assert len({each["vector_store"] for each in found}) == 3


@pytest.mark.nightly
@pytest.mark.parametrize(
    ("key_type", "keys"),
    [
        ("BIGINT UNSIGNED", [2**64 - 1 - i for i in range(ROWS)]),
        ("DECIMAL(40, 10)", [f"{10**29 + i}.0000000001" for i in range(ROWS)]),
        ("BINARY(16)", [uuid.uuid5(uuid.NAMESPACE_DNS, str(i)).bytes for i in range(ROWS)]),
        ("VARCHAR(20)", ["", *(f"'`\\\" {i}" for i in range(ROWS - 1))]),
        ("DATE", [f"{1990 + i // 28}-02-{i % 28 + 1:02}" for i in range(ROWS)]),
    ],
    ids=["large", "decimal", "binary", "text", "date"],
)
def test_any_key(ai, key_type, keys):
    vectors, query = vectors_of(1), vectors_of(2, 1)[0]
    ai.rows(
        "CREATE TABLE goods (id " + key_type + f" PRIMARY KEY, title INT, embedding VECTOR({DIM}))"
    )
    for number, (key, vector) in enumerate(zip(keys, vectors, strict=True)):
        ai.rows("INSERT INTO goods VALUES (%s, %s, %s)", (key, number, pack(vector)))
    ai.table("goods")
    use_indexes(ai)
    query = vectors[0] + query / 10
    best = np.argsort(distances(vectors, query, "COSINE")[0])[:10]
    found, key = search(
        ai, query, [named(ai, "goods")], columns={**COLUMNS, "document_name": "title"}
    )
    assert key == "lookalike_1" and names_of(found) == [str(i) for i in best]


@pytest.mark.nightly
@pytest.mark.parametrize(
    "options",
    [
        {"max_distance": 0.2},
        {"percentage_distance": 40},
        {"max_distance": 0, "percentage_distance": 0},
        {"max_distance": 0.3, "percentage_distance": 90},
    ],
)
@pytest.mark.parametrize("metric", ["COSINE", "EUCLIDEAN"])
def test_distances_are_limited(ai, options, metric):
    vectors, query = vectors_of(1), vectors_of(2, 1)[0]
    indexed(ai, "goods", vectors, metric=metric.lower())
    found, key = search(ai, query, [named(ai, "goods")], 20, metric=metric, options=options)
    away = np.sort(distances(vectors, query, metric)[0])[:20]
    limit = options.get("max_distance", np.inf)
    if "percentage_distance" in options:
        limit = min(limit, away[0] * (1 + options["percentage_distance"] / 100))
    assert key == "lookalike_1"
    assert [each["distance"] for each in found] == pytest.approx(away[away <= limit], abs=1e-12)


def test_it_stays_in_a_transaction_and_sees_its_changes(ai):
    vectors, query = vectors_of(1), vectors_of(2, 1)[0]
    indexed(ai, "goods", vectors)
    near = int(np.argmin(distances(vectors, query, "COSINE")[0]))
    arguments = (
        pack(query),
        json.dumps([named(ai, "goods")]),
        json.dumps(COLUMNS),
        1,
        "COSINE",
        None,
    )
    with ai.session():
        ai.rows("START TRANSACTION")
        ai.rows("INSERT INTO goods VALUES (1000, 'new', %s)", (pack(query),))
        ai.rows(CALL, arguments)
        ((found, key),) = ai.rows("SELECT @context_map, @lookalike_key")[1]
        assert names_of(json.loads(found)) == ["1000"] and key == "lookalike_1"
        ai.rows("ROLLBACK")
        ai.rows(CALL, arguments)
        ((found,),) = ai.rows("SELECT @context_map")[1]
        assert names_of(json.loads(found)) == [str(near)]
        # A transaction that may not make temporary tables: all rows are compared.
        ai.rows("START TRANSACTION READ ONLY")
        ai.rows(CALL, arguments)
        ((found,),) = ai.rows("SELECT @context_map")[1]
        assert names_of(json.loads(found)) == [str(near)]
        ai.rows("COMMIT")


@pytest.mark.nightly
def test_without_procedures_or_the_right_to_use_them_it_is_exact(ai, database_url):
    vectors, query = vectors_of(1), vectors_of(2, 1)[0]
    indexed(ai, "goods", vectors)
    expected = [str(i) for i in np.argsort(distances(vectors, query, "COSINE")[0])[:10]]
    tables, database = [named(ai, "goods")], ai.connection.url.database
    name = f"u{uuid.uuid4().hex[:12]}"
    grants = ["EXECUTE ON PROCEDURE sys.ML_SIMILARITY_SEARCH", f"SELECT ON {database}.goods"]
    more = ["SELECT", "EXECUTE", "CREATE TEMPORARY TABLES"]
    ai.rows(f"CREATE USER {name}@localhost")
    try:
        for granted in (*grants, *(f"{each} ON {database}.*" for each in more)):
            ai.rows(f"GRANT {granted} TO {name}@localhost")
            if granted == grants[0]:
                continue
            with lookalike.connect(database_url.replace("//root@", f"//{name}@")) as reader:
                assert names_of(search(reader, query, tables)[0]) == expected, granted
    finally:
        ai.rows(f"DROP USER {name}@localhost")
    ai.rows("DROP PROCEDURE lookalike__rank")
    assert names_of(search(ai, query, tables)[0]) == expected
    ai.rows("DROP PROCEDURE lookalike_search_into")
    assert names_of(search(ai, query, tables)[0]) == expected
    ai.rows("DROP TABLE lookalike_tables")
    found, key = search(ai, query, tables)
    assert names_of(found) == expected and key is None
    ai.rows("DROP TABLE lookalike_indexes")
    assert names_of(search(ai, query, tables)[0]) == expected


def test_a_table_in_another_database_and_a_name_that_needs_quotes(ai):
    other = f"{ai.connection.url.database} o`ther"
    quoted = "`" + other.replace("`", "``") + "`"
    ai.rows(f"CREATE DATABASE {quoted}")
    try:
        vectors, query = vectors_of(1), vectors_of(2, 1)[0]
        ai.rows(f"CREATE TABLE {quoted}.`go``ods` (`i``d` INT PRIMARY KEY, `v v` VECTOR({DIM}))")
        for number, vector in enumerate(vectors):
            ai.rows(f"INSERT INTO {quoted}.`go``ods` VALUES (%s, %s)", (number, pack(vector)))
        ai.table("go`ods", schema=other, alias="x")
        use_indexes(ai)
        columns = {"segment_embedding": "V V", "document_name": "i`d"}
        found, key = search(ai, query, [f"{quoted}.`go``ods`"], columns=columns)
        order = np.argsort(distances(vectors, query, "COSINE")[0])[:10]
        assert key == "lookalike_1" and names_of(found) == [str(i) for i in order]
    finally:
        ai.rows(f"DROP DATABASE {quoted}")
