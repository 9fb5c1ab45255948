"""Collections are listed, deleted and renamed whole, and nothing else is touched."""

import contextlib
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

import lookalike
from lookalike import Collection, Database, DatabaseError, InputError
from lookalike.database import connection, own_tables
from lookalike.dialects import SHARED_TABLES, Statement, Table
from tests.oracle import similarities

N, DIM = 230, 16

DIE = """
import os, signal, sys
from lookalike import connect

def call(steps, url, method, *names):
    left = int(steps)

    def note(statement):
        nonlocal left
        if statement.sql.startswith(("DROP", "DELETE", "INSERT", "RENAME", "ALTER")):
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1

    getattr(connect(url, tracer=note), method)(*names)

for line in sys.stdin:
    child = os.fork()
    if child == 0:
        try:
            call(*line.split())
            os._exit(0)
        finally:
            os._exit(1)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
"""Makes each call that it is told in a process that dies before its change number `steps`."""

Killed = Callable[..., bool]


@pytest.fixture
def killed(database_url: str) -> Iterator[Killed]:
    """Whether a client that makes a call is killed before the change of a number."""
    with subprocess.Popen(
        [sys.executable, "-c", DIE], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin and process.stdout

        def is_killed(step: int, method: str, *names: str) -> bool:
            print(step, database_url, method, *names, file=process.stdin, flush=True)
            status = process.stdout.readline().strip()
            assert status in ("0", "-9"), status
            return status == "-9"

        yield is_killed
        process.stdin.close()


def embeddings(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(N, DIM)).astype(np.float32)


def make(db: Database, name: str, seed: int = 1) -> Collection:
    """A collection that has everything that one can have."""
    made = db.collection(name, dim=DIM)
    made.add_embeddings([f"{name} {i}" for i in range(N)], embeddings(seed))
    made.duplicates.mark_distinct(1, 2)
    made.duplicates.find(min_similarity=0.95)
    made.attributes.set([{"path": f"{name} 3", "brand": "acme"}])
    made.attributes.index("brand")
    made.threshold.set(0.75)
    made.search(1)  # measures levels
    db.rows("INSERT IGNORE INTO lookalike_index_changes VALUES (%s, 7)", (name,))
    db.rows("INSERT IGNORE INTO lookalike_runs (collection) VALUES (%s)", (name,))
    return made


@pytest.fixture
def photos(db: Database) -> Collection:
    """`photos`, beside `photos2` and tables of the user's own with similar names."""
    make(db, "photos2", 2)
    db.rows("CREATE TABLE photos_codes_2024 (id INT PRIMARY KEY)")
    db.rows("CREATE TABLE photos_cells_9 (id INT) COMMENT 'lookalike: index of photos'")
    db.rows("CREATE TABLE photos_notes (id INT PRIMARY KEY)")
    return make(db, "photos")


def everything(db: Database) -> dict[str, tuple[str, list[str]]]:
    """Every table with its rows, definition included."""
    found = {}
    for (name,) in db.rows("SHOW TABLES")[1]:
        sql = db.rows(f"SHOW CREATE TABLE {name}")[1][0][1].split(" AUTO_INCREMENT=")[0]
        found[name] = sql, sorted(map(repr, db.rows(f"SELECT * FROM {name}")[1]))
    return found


def of_others(
    before: dict[str, tuple[str, list[str]]], name: str
) -> dict[str, tuple[str, list[str]]]:
    """What has to be left of all tables when this collection has gone."""
    own = {name, *(f"{name}{end}" for end in ("_files", "_failures", "_phashes", "_distinct"))}
    own |= {f"{name}_cells_1", f"{name}_codes_1"}
    assert own <= set(before), own - set(before)
    return {
        table: (sql, [row for row in rows if not row.startswith(f"('{name}'")])
        if table in SHARED_TABLES
        else (sql, rows)
        for table, (sql, rows) in before.items()
        if table not in own
    }


def assert_works(db: Database, name: str, seed: int = 1) -> None:
    """Searching, adding, checking, training: all as it should be."""
    collection, stored = db.collection(name), embeddings(seed)
    expected = np.argsort(-similarities(stored, stored[5]), kind="stable")[:5] + 1
    assert [match.id for match in collection.search(stored[5], k=5)] == expected.tolist()
    assert collection.status().indexed == N
    assert collection.index.check().is_consistent
    assert collection.threshold.get() == 0.75
    assert [m.image_name[-2:] for m in collection.search(1, where={"brand": "acme"})] == [" 3"]
    assert collection.duplicates.unmark_distinct(1, 2) == 1
    collection.add_embeddings(["new"], stored[:1] + 1)
    assert collection.index.build()
    assert collection.index.check().is_consistent
    assert collection.index.check().codes == N + 1
    left = {row[0] for row in db.rows(f"SHOW TABLES LIKE '{name}\\_c%'")[1]}
    assert {f"{name}_cells_2", f"{name}_codes_2"} <= left
    assert not left & {f"{name}_cells_1", f"{name}_codes_1"}


def test_a_collection_goes_with_all_that_is_its_own_and_nothing_else(db, photos):
    before = everything(db)
    told = db.delete_collection("photos", dry_run=True)
    assert everything(db) == before
    gone = db.delete_collection("photos")
    assert (gone.rows, gone.tables, gone.is_dry_run) == (N, told.tables, False)
    assert everything(db) == of_others(before, "photos")
    assert set(before) - set(everything(db)) == set(gone.tables)
    assert db.collections() == ["photos2"]
    make(db, "photos")
    assert_works(db, "photos")
    assert_works(db, "photos2", 2)


def test_nobody_elses_tables_are_taken_for_side_tables(db):
    db.collection("photos", dim=2).add_embeddings(["a"], [[1, 2]])
    db.rows("CREATE TABLE photos_phashes (content_hash BINARY(32), mine INT)")
    db.rows("CREATE TABLE photos_distinct (id INT, other_id INT)")
    gone = db.delete_collection("photos")
    assert set(gone.tables) == {"photos", "photos_files", "photos_failures"}
    assert {"photos_phashes", "photos_distinct"} <= set(everything(db))


def test_an_unknown_name_is_told_with_those_that_there_are(db):
    for call in (db.delete_collection, lambda name: db.rename_collection(name, "other")):
        with pytest.raises(
            InputError, match="^there is no collection 'nope' in .*; it has no collections"
        ):
            call("nope")
    for name in ("b", "a"):
        db.collection(name, dim=2).add_embeddings(["x"], [[1, 2]])
    for call in (db.delete_collection, lambda name: db.rename_collection(name, "other")):
        with pytest.raises(
            InputError, match="^there is no collection 'nope' in .*; the collections are: a, b"
        ):
            call("nope")


OWN = "id INT PRIMARY KEY AUTO_INCREMENT, image_name VARCHAR(9), embedding VECTOR(16)"


def test_a_table_of_the_users_own_is_never_dropped(db):
    db.rows(f"CREATE TABLE own ({OWN})")
    with pytest.raises(InputError, match="^nothing to delete: 'own'"):
        db.delete_collection("own", keep_table=True)
    with pytest.raises(InputError, match="^table 'own' is not dropped: lookalike did not make it"):
        db.delete_collection("own")
    db.rows("ALTER TABLE own ADD COLUMN price INT")
    db.collection("own", dim=DIM).add_embeddings(["a"] * N, embeddings(1))
    with pytest.raises(InputError, match=r"columns of yours \(price\); use --keep-table"):
        db.delete_collection("own")
    assert db.collection("own").status().indexed == N
    gone = db.delete_collection("own", keep_table=True)
    assert gone.keeps_table and "own" not in gone.tables
    left = everything(db)
    assert {name for name in left if name not in SHARED_TABLES} == {"own"}
    assert not any(rows for name, (_, rows) in left.items() if name in SHARED_TABLES[1:])
    assert len(left["own"][1]) == N
    assert len(db.collection("own").search(1, k=N)) == N - 1


def test_a_foreign_key_of_the_users_own_is_named_and_nothing_is_deleted(db, photos):
    db.rows("CREATE TABLE orders (image INT, FOREIGN KEY (image) REFERENCES photos (id))")
    before = everything(db)
    with pytest.raises(InputError, match=r"^nothing was deleted: orders\.image .* 'photos'"):
        db.delete_collection("photos")
    assert everything(db) == before
    assert db.rename_collection("photos", "pics").name == "pics"
    db.rows("INSERT INTO orders VALUES (1)")
    db.rows("DROP TABLE orders")
    db.delete_collection("pics")


def test_what_a_drop_by_hand_has_left_goes(db, photos):
    kept = of_others(everything(db), "photos")
    db.rows("SET foreign_key_checks = 0")
    db.rows("DROP TABLE photos")
    db.rows("SET foreign_key_checks = 1")
    gone = db.delete_collection("photos")
    assert gone.rows == 0 and {"photos_files", "photos_codes_1"} <= set(gone.tables)
    assert everything(db) == kept
    with pytest.raises(InputError, match="the collections are: photos2$"):
        db.delete_collection("photos")


@contextlib.contextmanager
def another(url: str, *statements: str):
    with lookalike.connect(url) as other:
        for statement in statements:
            other.rows(statement)
        yield


CALLS: dict[str, Callable[[Database], object]] = {
    "delete": lambda db: db.delete_collection("photos"),
    "rename": lambda db: db.rename_collection("photos", "pics"),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_transaction_elsewhere_is_waited_for_only_so_long(
    db, photos, database_url, call, monkeypatch
):
    monkeypatch.setattr(connection, "ALTER_WAIT_SECONDS", 1)
    started = time.monotonic()
    with (
        another(database_url, "BEGIN", "SELECT * FROM photos"),
        pytest.raises(DatabaseError, match="in an open transaction: end that transaction"),
    ):
        CALLS[call](db)
    assert time.monotonic() - started < 15
    assert_works(db, "photos")
    CALLS[call](db)
    assert "photos" not in db.collections()


@pytest.mark.parametrize("call", CALLS)
def test_a_collection_in_training_is_refused(db, photos, database_url, call, monkeypatch):
    monkeypatch.setattr(own_tables, "TRAINER_SECONDS", 1)
    lock = str(db.dialect.trainer_lock(Table("photos")))
    before = everything(db)
    with another(database_url, lock):
        with pytest.raises(DatabaseError, match="is training the index of 'photos'; try again"):
            CALLS[call](db)
        assert everything(db) == before
    CALLS[call](db)


def test_a_deletion_killed_at_any_step_is_finished_by_the_next(db, photos, killed):
    kept = of_others(everything(db), "photos")
    # One statement drops all tables; in one transaction eight shared ones forget.
    for step in (0, 1, 5, 8):
        assert killed(step, "delete_collection", "photos")
        if step == 1:  # made again instead
            assert db.collections() == ["photos2"]
            make(db, "photos")
            assert_works(db, "photos")
        db.delete_collection("photos")
        assert everything(db) == kept
        make(db, "photos")
    assert not killed(9, "delete_collection", "photos")
    assert everything(db) == kept


def test_a_renaming_killed_at_any_step_is_finished_by_the_same(db, photos, killed):
    before = everything(db)
    names = "photos", "pics"
    # Sixteen changes note the new name, one renames, two comment, sixteen forget the old name.
    for step in (0, 15, 16, 17, 18, 19, 34):
        assert killed(step, "rename_collection", *names)
        there = set(db.collections()) & set(names)
        assert there == {names[step > 16]}
        whole = db.collection(there.pop())
        assert (
            whole.count() == N
            and whole.index.check().is_consistent
            and whole.threshold.get() == 0.75
        )
        db.rename_collection(*names)
        assert set(db.collections()) == {names[1], "photos2"}
        names = names[::-1]
    assert not killed(35, "rename_collection", "pics", "photos")
    assert everything(db) == before
    assert_works(db, "photos")


def test_a_renaming_killed_half_way_can_be_followed_by_a_deletion(db, photos, killed):
    kept = of_others(everything(db), "photos")
    assert killed(17, "rename_collection", "photos", "pics")
    assert db.collections() == ["photos2", "pics"]
    db.delete_collection("pics")
    db.delete_collection("photos")
    assert everything(db) == kept


def test_a_renamed_collection_works_and_its_old_name_is_free(db, photos):
    before = everything(db)
    renamed = db.rename_collection("photos", "pics")
    assert (renamed.name, renamed.count(), renamed.model_id) == ("pics", N, None)
    assert_works(db, "pics")
    make(db, "photos")
    assert_works(db, "photos")
    db.delete_collection("pics")
    db.delete_collection("photos")
    assert everything(db) == of_others(before, "photos")


def test_a_writer_that_a_renaming_overtakes_loses_and_spoils_nothing(db, photos, database_url):
    stored: list[int] = []

    def write() -> None:
        with lookalike.connect(database_url) as other:
            collection = other.collection("photos")
            with contextlib.suppress(DatabaseError):
                while True:
                    stored.extend(collection.add_embeddings(["w"] * 5, embeddings(3)[:5]))

    writer = threading.Thread(target=write)
    writer.start()
    while len(stored) < 20:
        time.sleep(0.01)
    renamed = db.rename_collection("photos", "pics")
    writer.join(30)
    assert not writer.is_alive()
    assert db.collections() == ["photos2", "pics"]
    rows = db.rows("SELECT id FROM pics WHERE image_name = 'w'")[1]
    assert {row[0] for row in rows} >= set(stored)  # the last may have been told no more
    renamed.add_embeddings(["after"], embeddings(4)[:1])
    report = renamed.index.check()
    assert report.is_consistent and report.codes == N + len(rows) + 1


TAKEN = (
    ("photos2", "a table 'photos2' exists already"),
    ("taken", "a table 'taken_phashes' exists already; give another name than 'taken'"),
    ("codes", "a table 'codes_codes_1' exists already"),
    ("lookalike_levels", "exists already"),
    ("photos", "'photos' already has this name"),
    ("2pics", "cannot be a collection's name"),
    ("a`b", "cannot be a collection's name"),
)


def test_a_name_that_cannot_be_had_is_refused_and_nothing_changes(db, photos):
    db.rows("CREATE TABLE taken_phashes (id INT)")
    db.rows("CREATE TABLE codes_codes_1 (id INT)")
    before = everything(db)
    for new, reason in TAKEN:
        with pytest.raises(InputError, match=reason):
            db.rename_collection("photos", new)
    assert everything(db) == before


def test_an_own_table_that_was_only_indexed_is_renamed_with_its_index(db, killed):
    db.rows(f"CREATE TABLE own ({OWN})")
    for row in embeddings(1):
        db.rows("INSERT INTO own (embedding) VALUES (%s)", (row,))
    assert db.collection("own").index.build()
    assert killed(9, "rename_collection", "own", "mine")
    assert db.collections() == ["mine"]
    mine = db.rename_collection("own", "mine")
    assert mine.status().indexed == N and mine.index.check().is_consistent
    assert db.rows("SELECT DISTINCT collection FROM lookalike_indexes")[1] == [("mine",)]
    assert db.delete_collection("mine", keep_table=True).tables == ("mine_cells_1", "mine_codes_1")


def test_the_list_tells_rows_model_size_and_index(db, photos):
    db.rows("CREATE TABLE odd (id VARCHAR(9), image_name VARCHAR(9), embedding VECTOR(2))")
    db.rows("ANALYZE TABLE photos")
    found = {status.name: status for status in db.status()}
    assert set(found) == {"photos", "photos2"}
    assert found["photos"] == db.collection("photos").status()
    assert (found["photos"].rows, found["photos"].indexed, found["photos"].dim) == (N, N, DIM)
    page = 16_384
    # The table has 230 rows of 64 bytes and a key, and six tables beside it have a page each.
    assert 8 * page <= found["photos"].size <= 40 * page


def test_a_statement_of_the_list_changes_nothing(db, photos, database_url):
    statements: list[Statement] = []
    with lookalike.connect(database_url, tracer=statements.append) as listing:
        listing.status()
        listing.delete_collection("photos", dry_run=True)
    assert all(statement.sql.startswith("SELECT") for statement in statements)
