"""Databases of older layouts are brought forward, whatever happens meanwhile; newer ones are not.

tests/layouts holds what older versions have left in a database; see CONTRIBUTING.md.
"""

import contextlib
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import lookalike
from lookalike import Database, DatabaseError
from lookalike.database.layouts import existing_tables
from lookalike.dialects import LAYOUT, SHARED_TABLES, Statement
from tests.layouts.make import DIMS, FILES, METRICS, ROWS, brand_of
from tests.one_connection import one_connection

pytestmark = pytest.mark.slow

DUMPS = Path(__file__).parents[1] / "layouts"
KEPT = {"photos": 1, "shapes": 1, "article": 1, "scores": 0}
"""The generation of each index: that of dot is trained anew by the next `add`."""
RESCORED = {"photos": 283, "shapes": 253, "article": 400, "scores": 0}
"""50 * sqrt(512 / dim), rounded up."""

OPEN_AND_DIE = """
import os, signal, sys
from lookalike import connect

done = set()

def open_collection(made):
    def note(statement):
        change = repr(statement)
        if statement.sql.startswith(("CREATE", "ALTER", "DROP", "UPDATE", "INSERT")):
            if change not in done | made:
                if made:
                    os.kill(os.getpid(), signal.SIGKILL)
                made.add(change)
                os.write(write_end, change.encode())

    connect(sys.argv[1], tracer=note).collection("photos")

while True:
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            open_collection(set())
            os._exit(0)
        finally:
            os._exit(1)
    os.close(write_end)
    with open(read_end) as pipe:
        done.add(pipe.read())
    status = os.waitpid(child, 0)[1]
    if not (os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL):
        break
print(len(done), status)
"""
"""Opens a collection in one process after another, each killed when it has made one change more."""


def load(db: Database, dump: str) -> None:
    with db.session():
        for statement in (DUMPS / dump).read_text().split(";\n"):
            if statement.strip():
                db.rows(statement)


@pytest.fixture
def old(db: Database) -> Database:
    """A database of the first layout."""
    load(db, "v1.sql")
    return db


def similarities(name: str, query: np.ndarray, embeddings: np.ndarray) -> np.ndarray:
    metric = METRICS.get(name, "cosine")
    query, embeddings = query.astype(np.float64), embeddings.astype(np.float64)
    if metric == "euclidean":
        return -np.sqrt(((embeddings - query) ** 2).sum(axis=1))
    products = (embeddings * query).sum(axis=1)
    if metric == "dot":
        return products
    return products / np.sqrt((embeddings**2).sum(axis=1) * (query**2).sum())


def assert_searches(db: Database, name: str, **options: object) -> None:
    """The collection's nearest neighbours of some rows are those that numpy finds."""
    ids, embeddings = zip(*db.rows(f"SELECT id, embedding FROM {name} ORDER BY id")[1], strict=True)
    stored = np.array(embeddings)
    for row in (0, 57, ROWS - 1):
        expected = similarities(name, stored[row], stored)
        best = sorted(range(len(ids)), key=lambda i: (-expected[i], ids[i]))[:10]
        found = db.collection(name).search(stored[row], k=10, **options)
        assert [match.id for match in found] == [ids[i] for i in best]
        assert np.allclose([match.similarity for match in found], expected[best], atol=1e-6)


def assert_new_layout(db: Database) -> None:
    assert db.rows("SELECT version FROM lookalike_schema")[1] == [(LAYOUT,)]
    rows = db.rows("SELECT collection, generation, rescored FROM lookalike_indexes")[1]
    assert {row[0]: row[1] for row in rows} == KEPT
    assert {row[0]: row[2] for row in rows} == RESCORED


def columns(db: Database) -> dict[str, list[tuple[object, ...]]]:
    """Name, type, default and nullability of each column of the shared tables, in any order."""
    marks = ", ".join(["%s"] * len(SHARED_TABLES))
    _, rows = db.rows(
        "SELECT table_name, column_name, column_type, column_default, is_nullable, column_key "
        "FROM information_schema.columns WHERE table_schema = DATABASE() "
        f"AND table_name IN ({marks}) ORDER BY table_name, column_name",
        SHARED_TABLES,
    )
    return {name: [row[1:] for row in rows if row[0] == name] for name in SHARED_TABLES}


def comments(db: Database) -> dict[str, str]:
    return dict(
        db.rows(
            "SELECT table_name, table_comment FROM information_schema.tables "
            "WHERE table_schema = DATABASE()"
        )[1]
    )


def test_every_collection_of_the_first_layout_opens_and_searches(old):
    before = dict(old.rows("SELECT collection, fingerprint FROM lookalike_indexes")[1])
    for name, generation in KEPT.items():
        collection = old.collection(name)
        assert collection.count() == ROWS
        assert collection.metric == METRICS.get(name, "cosine")
        assert_searches(old, name)
        assert_searches(old, name, exact=True)
        report = collection.index.check()
        assert report.is_consistent
        assert report.codes == (ROWS if generation else 0)
    assert_new_layout(old)
    after = dict(old.rows("SELECT collection, fingerprint FROM lookalike_indexes")[1])
    assert after == before


STATE = (
    "SELECT collection, generation, seed, unit, n_probes, probe_gap, rescored, recall, "
    "trained_rows, fingerprint FROM lookalike_indexes ORDER BY collection"
)


@pytest.mark.parametrize("dump", ["v2.sql", "v3.sql"])
def test_every_collection_of_later_layouts_opens_searches_and_is_held(db, database_url, dump):
    load(db, dump)
    before = db.rows(STATE)[1]
    for name in KEPT:
        collection = db.collection(name)
        assert collection.count() == ROWS
        assert_searches(db, name)
        assert_searches(db, name, exact=True)
        report = collection.index.check()
        assert report.is_consistent and report.codes == ROWS
        if collection.status().plan.is_exact:
            continue
        with collection.hold_index() as held:
            assert held.wait(30)
            assert_searches(db, name)
            assert collection.explain(1).plan == "codes and float32 in memory"
    assert db.rows("SELECT version FROM lookalike_schema")[1] == [(LAYOUT,)]
    assert db.rows(STATE)[1] == before
    assert db.rows("SELECT DISTINCT rotation FROM lookalike_indexes")[1] == [("dense",)]
    assert db.rows("SELECT COUNT(*) FROM lookalike_index_versions")[1][0][0] > 0
    new = f"test_{uuid.uuid4().hex[:12]}"
    db.rows(f"CREATE DATABASE {new}")
    try:
        with lookalike.connect(renamed(database_url, new)) as fresh:
            fresh.collection("any", dim=2).add_embeddings(["a"], [[1, 2]])
            assert columns(db) == columns(fresh)
    finally:
        db.rows(f"DROP DATABASE {new}")


def test_what_was_kept_besides_embeddings_is_still_there(old):
    photos = old.collection("photos")
    assert photos.model_id == "greys"
    assert photos.threshold.get() == 0.875
    assert [str(failure.path) for failure in photos.failures()] == ["/pictures/broken.png"]
    assert photos.status().last_run.added == FILES
    assert [str(record.path) for record in photos.records([1])] == ["/pictures/0.png"]
    assert photos.duplicates.unmark_distinct(1, 2) == 1
    assert old.rows("SELECT COUNT(*) FROM photos_phashes")[1] == [(FILES,)]
    for name in ("shapes", "scores"):
        found = old.collection(name).search(1, k=ROWS, where={"brand": "acme"}, exclude_self=False)
        expected = {f"{name} {i}" for i in range(ROWS) if brand_of(i) == "acme"}
        assert {match.image_name for match in found} == expected
    levels = old.rows("SELECT collection FROM lookalike_levels")[1]
    assert {row[0] for row in levels} == set(KEPT)


def test_upgraded_tables_are_those_of_a_new_database(old, database_url):
    old.collection("photos")
    new = f"test_{uuid.uuid4().hex[:12]}"
    old.rows(f"CREATE DATABASE {new}")
    try:
        with lookalike.connect(renamed(database_url, new)) as fresh:
            fresh.collection("any", dim=2).add_embeddings(["a"], [[1, 2]])
            assert columns(old) == columns(fresh)
    finally:
        old.rows(f"DROP DATABASE {new}")


def renamed(url: str, database: str) -> str:
    head, _, query = url.partition("?")
    return f"{head.rpartition('/')[0]}/{database}?{query}"


def test_only_recorded_index_tables_are_marked_or_dropped(old):
    """`photos_codes_2024` and `photos_cells_9` are the user's; scores' codes are of no use now."""
    tables = set(comments(old))
    # Recorded, but not what lookalike makes: somebody has put one of their own there.
    old.rows("UPDATE lookalike_indexes SET building = 9 WHERE collection = 'scores'")
    old.rows("CREATE TABLE scores_cells_9 (id INT PRIMARY KEY)")
    old.collection("shapes")
    now = comments(old)
    gone = {"scores_cells_1", "scores_codes_1"}
    new = {"lookalike_schema", "lookalike_index_versions", "lookalike_index_log"}
    assert set(now) == tables - gone | new | {"scores_cells_9"}
    marked = {name: comment for name, comment in now.items() if comment}
    assert marked == {
        f"{name}_{kind}_{generation}": f"lookalike: index of {name}, generation {generation}"
        for name, generation in (("photos", 1), ("shapes", 1), ("shapes", 7), ("article", 1))
        for kind in ("cells", "codes")
    }


def test_an_index_of_dot_is_trained_anew_by_the_next_add(old):
    scores = old.collection("scores")
    assert scores.status().indexed == 0
    scores.add_embeddings(["new"], np.ones((1, DIMS["scores"])))
    assert scores.status().indexed == ROWS + 1
    assert scores.index.check().is_consistent


def test_a_client_killed_after_any_step_leaves_what_the_next_opening_finishes(old, database_url):
    command = [sys.executable, "-c", OPEN_AND_DIE, database_url]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    changes, status = map(int, done.stdout.split())
    assert status == 0
    assert changes > 30
    assert_new_layout(old)
    for name in KEPT:
        assert_searches(old, name)
        assert old.collection(name).index.check().is_consistent


def test_two_clients_at_once_upgrade_once(old, database_url):
    statements: list[str] = []
    waiting = threading.Event()

    def first(statement: Statement) -> None:
        if statement.sql.startswith("ALTER"):
            assert waiting.wait(30)
        statements.append(str(statement))

    def second(statement: Statement) -> None:
        statements.append(str(statement))
        if "GET_LOCK" in statement.sql:
            waiting.set()

    def open_with(tracer: Callable[[Statement], None]) -> None:
        with lookalike.connect(database_url, tracer=tracer) as db:
            lengths.append(db.collection("shapes").count())

    lengths: list[int] = []
    one = threading.Thread(target=open_with, args=(first,))
    one.start()
    while not any("GET_LOCK" in sql for sql in statements):
        time.sleep(0.01)
    open_with(second)
    one.join(30)
    assert lengths == [ROWS, ROWS]
    changes = [sql for sql in statements if sql.startswith(("ALTER", "UPDATE", "DROP"))]
    assert len(changes) == len(set(changes)) > 10
    assert_new_layout(old)


def test_an_idle_transaction_elsewhere_is_named_and_not_waited_for(old, database_url):
    with one_connection(database_url) as idle:
        idle.rows("BEGIN")
        idle.rows("SELECT * FROM lookalike_indexes")
        started = time.monotonic()
        with pytest.raises(
            DatabaseError, match=r"^lookalike's tables in .* end that transaction, then try again$"
        ):
            existing_tables(old.connection, old.dialect, [], lock_seconds=1)
        assert time.monotonic() - started < 4
        idle.rows("ROLLBACK")
    assert old.collection("photos").count() == ROWS
    assert_new_layout(old)


@contextlib.contextmanager
def user(db: Database, url: str, privileges: str) -> Iterator[str]:
    """The URL of a new user with privileges on this database."""
    name = f"u{uuid.uuid4().hex[:12]}"
    db.rows(f"CREATE USER {name}@localhost")
    try:
        db.rows(f"GRANT {privileges} ON {db.connection.url.database}.* TO {name}@localhost")
        yield url.replace("//root@", f"//{name}@")
    finally:
        db.rows(f"DROP USER {name}@localhost")


@pytest.mark.parametrize("privileges", ["SELECT", "SELECT, INSERT, UPDATE, DELETE, CREATE"])
def test_a_user_who_may_not_alter_gets_one_sentence(old, database_url, privileges):
    with user(old, database_url, privileges) as url, lookalike.connect(url) as weak:
        message = "may not change them: run `lookalike status` once as a user who may CREATE"
        with pytest.raises(DatabaseError, match=message) as caught:
            weak.collection("photos")
        assert "\n" not in str(caught.value)
        assert old.connection.url.database in str(caught.value)
        assert old.collection("photos").count() == ROWS
        assert_searches(weak, "photos")


def test_a_newer_layout_is_refused_in_one_line(old):
    old.collection("photos")
    old.rows("UPDATE lookalike_schema SET version = %s", (LAYOUT + 1,))
    for name in ("photos", "not_there"):
        with pytest.raises(DatabaseError, match=rf"have layout {LAYOUT + 1}, .*upgrade lookalike"):
            old.collection(name, dim=16)


def test_a_table_of_the_users_own_opens_read_only_where_lookalike_has_no_tables(db, database_url):
    db.rows("CREATE TABLE own (id INT PRIMARY KEY, image_name VARCHAR(9), embedding VECTOR(2))")
    db.rows("INSERT INTO own VALUES (1, 'a', STRING_TO_VECTOR('[1,2]'))")
    with user(db, database_url, "SELECT") as url, lookalike.connect(url) as reader:
        assert [match.id for match in reader.collection("own").search(np.array([1, 2]))] == [1]
    assert db.rows("SHOW TABLES")[1] == [("own",)]


FIRST_TABLES = {
    "add_embeddings": lambda own: own.add_embeddings(["b"], [[1, 2]]),
    "build_index": lambda own: own.index.build(),
    "set_attributes": lambda own: own.attributes.set([{"path": "a", "brand": "acme"}]),
    "min_similarity": lambda own: own.threshold.set(0.5),
}


@pytest.mark.parametrize("first", FIRST_TABLES)
def test_whatever_makes_the_first_shared_table_notes_the_layout(db, first):
    db.rows(
        "CREATE TABLE own (id INT PRIMARY KEY AUTO_INCREMENT, image_name VARCHAR(9), "
        "embedding VECTOR(2))"
    )
    db.rows("INSERT INTO own VALUES (1, 'a', STRING_TO_VECTOR('[1,2]'))")
    FIRST_TABLES[first](db.collection("own"))
    assert db.rows("SELECT version FROM lookalike_schema")[1] == [(LAYOUT,)]


def test_opening_asks_four_small_questions(old, database_url):
    old.collection("photos")
    statements: list[Statement] = []
    with lookalike.connect(database_url, tracer=statements.append) as db:
        statements.clear()
        db.collection("photos")
        assert len(statements) <= 4
