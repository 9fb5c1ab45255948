"""Tables that lookalike has not made: much works on them, and the rest is refused in one line."""

from collections.abc import Iterator

import numpy as np
import pytest

import lookalike
from lookalike import Collection, Database, DatabaseError, InputError
from tests.mortal_server import MortalServer
from tests.own_server import own_server

N, DIM = 250, 16
COLUMNS = "image_name VARCHAR(255), embedding VECTOR(16)"
KEYED = f"id INT PRIMARY KEY AUTO_INCREMENT, {COLUMNS}"
TOO_LARGE = 2**63 + 5

TABLES = {
    "partitioned": (f"CREATE TABLE own ({KEYED}) PARTITION BY HASH(id) PARTITIONS 4", "partition"),
    "partitioned by another column": (
        f"CREATE TABLE own (id INT AUTO_INCREMENT, {COLUMNS}, year INT DEFAULT 7, "
        "PRIMARY KEY (id, year)) PARTITION BY HASH(year) PARTITIONS 2",
        "partition",
    ),
    "MyISAM": (f"CREATE TABLE own ({KEYED}) ENGINE = MyISAM", "engine is MyISAM"),
    "no key": (f"CREATE TABLE own (id INT NOT NULL, {COLUMNS})", "PRIMARY KEY"),
    "a key without uniqueness": (
        f"CREATE TABLE own (id INT NOT NULL AUTO_INCREMENT, {COLUMNS}, KEY (id))",
        "PRIMARY KEY",
    ),
    "no AUTO_INCREMENT": (f"CREATE TABLE own (id INT PRIMARY KEY, {COLUMNS})", "AUTO_INCREMENT"),
    "a view": (
        f"CREATE TABLE base ({KEYED}); CREATE VIEW own AS SELECT * FROM base",
        "a view",
    ),
}


def embeddings(n: int = N) -> np.ndarray:
    return np.random.default_rng(3).normal(size=(n, DIM)).astype(np.float32)


def fill(db: Database, n: int = N) -> np.ndarray:
    stored = embeddings(n)
    for i, row in enumerate(stored, 1):
        db.rows("INSERT INTO own (id, image_name, embedding) VALUES (%s, %s, %s)", (i, "a", row))
    return stored


def make(db: Database, statements: str) -> np.ndarray:
    for statement in statements.split("; "):
        db.rows(statement)
    return fill(db)


def tables(db: Database) -> set[str]:
    return {row[0] for row in db.rows("SHOW TABLES")[1]}


def assert_searches(collection: Collection, stored: np.ndarray, **options: object) -> None:
    query = stored[5] + np.float32(0.1)
    cosines = stored @ query / np.linalg.norm(stored, axis=1) / np.linalg.norm(query)
    best = (np.argsort(-cosines)[:5] + 1).tolist()
    assert [match.id for match in collection.search(query, k=5, **options)] == best


@pytest.mark.parametrize("kind", TABLES)
def test_what_cannot_be_added_to_is_searched_and_refuses_without_half_made_tables(db, kind):
    statements, reason = TABLES[kind]
    stored = make(db, statements)
    before = tables(db)
    collection = db.collection("own", dim=DIM)
    assert_searches(collection, stored, exact=True)
    with pytest.raises(InputError, match=f"^images cannot be added to table 'own': .*{reason}"):
        collection.add_embeddings(["a"], stored[:1])
    assert tables(db) == before
    assert collection.count() == N
    if kind == "no AUTO_INCREMENT":
        collection.duplicates.mark_distinct(2, 3)
    else:
        with pytest.raises(InputError, match=f"^no decisions can be kept about .*{reason}"):
            collection.duplicates.mark_distinct(2, 3)
        assert tables(db) == before


@pytest.mark.parametrize("kind", [kind for kind in TABLES if TABLES[kind][1] != "PRIMARY KEY"])
def test_the_index_follows_every_table_whose_rows_can_be_read_by_id(db, kind):
    stored = make(db, TABLES[kind][0])
    collection = db.collection("own")
    if kind == "a view":
        before = tables(db)
        with pytest.raises(InputError, match="'own' cannot be indexed: it is a view"):
            collection.index.build()
        assert tables(db) == before
        return
    assert collection.index.build()
    assert collection.status().indexed == N
    assert_searches(collection, stored)
    report = collection.index.check()
    assert report.is_consistent
    assert report.codes == N
    assert collection.remove_rows([1]) == 1
    assert collection.index.check().is_consistent


@pytest.mark.parametrize("kind", [kind for kind in TABLES if TABLES[kind][1] == "PRIMARY KEY"])
def test_an_index_needs_a_primary_key_that_begins_with_id(db, kind):
    make(db, TABLES[kind][0])
    before = tables(db)
    own = db.collection("own")
    with pytest.raises(InputError, match="'own' cannot be indexed: its PRIMARY KEY does not"):
        own.index.build()
    assert tables(db) == before
    own.duplicates.find(min_similarity=0.9)  # compares all, without an index


def test_a_table_of_hundreds_of_columns_is_a_collection_like_others(db):
    others = ", ".join(f"c{i} INT" for i in range(600))
    stored = make(db, f"CREATE TABLE own ({KEYED}, {others})")
    db.rows("UPDATE own SET c599 = id")
    collection = db.collection("own", dim=DIM)
    assert collection.add_embeddings(["b"], stored[:1]) == [N + 1]
    assert_searches(collection, stored)
    found = collection.search(stored[5], k=300, where={"c599": ("<", 11)})
    assert sorted(match.id for match in found) == list(range(1, 11))
    assert collection.index.check().is_consistent


def test_foreign_keys_of_the_users_own_keep_rows_and_their_codes(db):
    stored = make(db, f"CREATE TABLE own ({KEYED})")
    db.rows(
        "CREATE TABLE orders (id INT PRIMARY KEY, own_id INT, FOREIGN KEY (own_id) REFERENCES own "
        "(id))"
    )
    db.rows("INSERT INTO orders VALUES (1, 4)")
    collection = db.collection("own", dim=DIM)
    collection.add_embeddings(["b"], stored[:1])
    assert collection.status().indexed == N + 1
    with pytest.raises(DatabaseError, match=r"foreign key constraint fails \(.*`orders`"):
        collection.remove_rows([3, 4, 5])
    assert collection.count() == N + 1
    assert collection.index.check().is_consistent
    assert collection.remove_rows([3, 5]) == 2
    assert collection.index.check().is_consistent


UNSIGNED = f"CREATE TABLE own (id BIGINT UNSIGNED PRIMARY KEY AUTO_INCREMENT, {COLUMNS})"


def test_unsigned_ids_work_below_2_to_the_63(db):
    stored = make(db, UNSIGNED)
    db.rows("INSERT INTO own VALUES (%s, 'last', %s)", (2**63 - 1, stored[5] + np.float32(0.1)))
    collection = db.collection("own")
    assert collection.index.build()
    for exact in (True, False):
        found = collection.search(stored[5] + np.float32(0.1), k=2, exact=exact)
        assert [match.id for match in found] == [2**63 - 1, 6]
    assert collection.index.check().is_consistent


def test_a_table_with_an_id_of_2_to_the_63_is_refused_at_the_door(db):
    stored = make(db, UNSIGNED)
    db.rows("INSERT INTO own VALUES (%s, 'last', %s)", (TOO_LARGE, stored[5]))
    with pytest.raises(
        InputError, match=f"^table 'own' is not a collection: id {TOO_LARGE} .*2.63"
    ):
        db.collection("own")


LATER = {
    "exact search": lambda own: own.search(embeddings()[5], exact=True),
    "search": lambda own: own.search(embeddings()[5]),
    "filtered search": lambda own: own.search(embeddings()[5], where={"colour": "red"}),
    "search by id": lambda own: own.search(TOO_LARGE),
    "build": lambda own: own.index.build(),
    "duplicates": lambda own: own.duplicates.find(min_similarity=0.95),
    "add": lambda own: own.add_embeddings(["b"], embeddings(1)),
}


@pytest.mark.parametrize("later", LATER)
def test_a_row_with_such_an_id_that_comes_later_is_named_in_one_line(db, later):
    stored = make(db, UNSIGNED.replace("VECTOR(16)", "VECTOR(16), colour VARCHAR(9) DEFAULT 'red'"))
    collection = db.collection("own", dim=DIM)
    collection.add_embeddings(["a"], stored[:1])
    assert collection.status().indexed == N + 1
    db.rows(
        "INSERT INTO own (id, image_name, embedding) VALUES (%s, 'late', %s)",
        (TOO_LARGE, stored[5]),
    )
    with pytest.raises(InputError, match=r"^id 92233720368547758\d\d is too large: .*2\^63") as e:
        LATER[later](collection)
    assert "\n" not in str(e.value)
    assert collection.count() == N + 2  # nothing was added


@pytest.fixture(scope="module")
def strict_server(installed_mysqld) -> Iterator[MortalServer]:
    """Tables must have keys, get invisible ones, and are MyISAM's unless they say otherwise."""
    options = ("--sql-require-primary-key=1", "--sql-generate-invisible-primary-key=1")
    with own_server(installed_mysqld, *options, "--default-storage-engine=MyISAM") as server:
        yield server


@pytest.fixture(scope="module")
def lower_case_server(installed_mysqld) -> Iterator[MortalServer]:
    """A server that keeps the names of tables in lower case, as on Windows."""
    with own_server(installed_mysqld, made_with=("--lower-case-table-names=1",)) as server:
        yield server


def test_lookalikes_tables_have_keys_and_foreign_keys_whatever_the_default_engine(strict_server):
    with lookalike.connect(strict_server.new_database()) as db:
        collection = db.collection("mine", dim=DIM)
        names = [f"name {i}" for i in range(N)]
        collection.add_embeddings(names, embeddings())
        collection.duplicates.mark_distinct(1, 2)
        collection.duplicates.find(tier="identical")
        collection.attributes.set([{"path": "name 3", "colour": "red"}])
        collection.threshold.set(0.5)
        assert collection.index.check().is_consistent
        assert collection.remove_rows([1]) == 1
        assert db.rows("SELECT * FROM mine_distinct")[1] == []
        engines = db.rows(
            "SELECT DISTINCT engine FROM information_schema.tables WHERE table_schema = DATABASE()"
        )[1]
        assert engines == [("InnoDB",)]


def test_an_invisible_primary_key_is_not_taken_for_the_ids(strict_server):
    with lookalike.connect(strict_server.new_database()) as db:
        db.rows(f"CREATE TABLE own (id INT NOT NULL, {COLUMNS}) ENGINE = InnoDB")
        stored = fill(db)
        collection = db.collection("own", dim=DIM)
        assert_searches(collection, stored, exact=True)
        with pytest.raises(InputError, match="id is not its PRIMARY KEY"):
            collection.add_embeddings(["a"], stored[:1])


def test_one_table_is_one_collection_where_names_are_kept_in_lower_case(lower_case_server):
    """Also what was noted of it under another name, by the first layout."""
    with lookalike.connect(lower_case_server.new_database()) as db:
        stored = embeddings()
        mine = db.collection("Mine", dim=DIM, metric="euclidean")
        mine.add_embeddings(["a"] * N, stored)
        assert mine.name == "mine"
        for name in ("Mine", "mine", "MINE"):
            collection = db.collection(name)
            assert (collection.name, collection.metric, collection.dim) == (
                "mine",
                "euclidean",
                DIM,
            )
        db.collection("mine").add_embeddings(["b"], stored[:1] + 9)
        assert db.collection("Mine").search(stored[0] + 9, k=1)[0].id == N + 1
        report = db.collection("MINE").index.check()
        assert report.is_consistent
        assert report.codes == N + 1
        assert db.collections() == ["mine"]
        assert db.rows("SELECT name FROM lookalike_collections")[1] == [("mine",)]


def test_collections_go_and_change_names_in_any_letters_there(lower_case_server):
    with lookalike.connect(lower_case_server.new_database()) as db:
        stored = embeddings()
        db.collection("mine", dim=DIM).add_embeddings(["a"] * N, stored)
        with pytest.raises(InputError, match="'mine' already has this name"):
            db.rename_collection("Mine", "MINE")
        renamed = db.rename_collection("MINE", "Yours")
        assert (renamed.name, db.collections()) == ("yours", ["yours"])
        assert renamed.index.check().is_consistent
        assert_searches(renamed, stored)
        assert "yours_codes_1" in db.delete_collection("Yours").tables
        noted = db.rows("SELECT COUNT(*) FROM lookalike_collections")[1]
        assert (db.collections(), noted) == ([], [(0,)])


def test_capital_letters_noted_by_the_first_layout_are_found_again(lower_case_server):
    with lookalike.connect(lower_case_server.new_database()) as db:
        mine = db.collection("mine", dim=DIM, metric="euclidean")
        mine.add_embeddings(["a"] * N, embeddings())
        mine.threshold.set(-3)
        db.rows("DROP TABLE lookalike_schema")
        for table in ("indexes", "index_tails", "levels", "thresholds"):
            db.rows(f"UPDATE lookalike_{table} SET collection = 'Mine'")
        db.rows("UPDATE lookalike_collections SET name = 'Mine'")
        found = db.collection("Mine")
        assert (found.metric, found.threshold.get(), found.status().indexed) == ("euclidean", -3, N)
        assert found.index.check().is_consistent
