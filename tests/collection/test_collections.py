"""Collections are listed and deleted whole, and nothing else is touched."""

import contextlib
import time
from collections.abc import Callable

import pytest

import lookalike
from lookalike import DatabaseError, InputError
from lookalike.collection.deletion import delete_collection
from lookalike.collection.renaming import rename_collection
from lookalike.dialects import SHARED_TABLES, Statement, Table
from tests.collection.albums import (
    DIM,
    OWN,
    N,
    assert_works,
    embeddings,
    everything,
    make,
    of_others,
)
from tests.impatient import impatient


def test_a_collection_goes_with_all_that_is_its_own_and_nothing_else(db, album):
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


@pytest.mark.parametrize("name", ["", "\N{CAT FACE}", "9", "a`b", "cat\0"])
def test_what_cannot_be_a_name_is_told(db, name):
    with pytest.raises(InputError, match="cannot be a collection's name"):
        db.collection(name)


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


def test_a_foreign_key_of_the_users_own_is_named_and_nothing_is_deleted(db, album):
    db.rows("CREATE TABLE orders (image INT, FOREIGN KEY (image) REFERENCES photos (id))")
    before = everything(db)
    with pytest.raises(InputError, match=r"^nothing was deleted: orders\.image .* 'photos'"):
        db.delete_collection("photos")
    assert everything(db) == before
    assert db.rename_collection("photos", "pics").name == "pics"
    db.rows("INSERT INTO orders VALUES (1)")
    db.rows("DROP TABLE orders")
    db.delete_collection("pics")


def test_what_a_drop_by_hand_has_left_goes(db, album):
    kept = of_others(everything(db), "photos")
    with db.session():
        db.rows("SET foreign_key_checks = 0")
        db.rows("DROP TABLE photos")
    gone = db.delete_collection("photos")
    assert gone.rows == 0 and {"photos_files", "photos_codes_1"} <= set(gone.tables)
    assert everything(db) == kept
    with pytest.raises(InputError, match=r"did you mean photos2\?$"):
        db.delete_collection("photos")


@contextlib.contextmanager
def another(url: str, *statements: str):
    with lookalike.connect(url) as other, other.session():
        for statement in statements:
            other.rows(statement)
        yield


CALLS: dict[str, Callable[..., object]] = {
    "delete": lambda db, **options: delete_collection(
        db.connection, db.dialect, "photos", keep_table=False, dry_run=False, **options
    ),
    "rename": lambda db, **options: rename_collection(
        db.connection, db.dialect, "photos", "pics", **options
    ),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_transaction_elsewhere_is_waited_for_only_so_long(db, album, database_url, call):
    started = time.monotonic()
    with (
        impatient(database_url) as hasty,
        another(database_url, "BEGIN", "SELECT * FROM photos"),
        pytest.raises(DatabaseError, match="in an open transaction: end that transaction"),
    ):
        CALLS[call](hasty)
    assert time.monotonic() - started < 8
    assert_works(db, "photos")
    CALLS[call](db)
    assert "photos" not in db.collections()


@pytest.mark.parametrize("call", CALLS)
def test_a_collection_in_training_is_refused(db, album, database_url, call):
    lock = str(db.dialect.trainer_lock(Table("photos")))
    before = everything(db)
    with another(database_url, lock):
        with pytest.raises(DatabaseError, match="is training the index of 'photos'; try again"):
            CALLS[call](db, trainer_seconds=1)
        assert everything(db) == before
    CALLS[call](db)


@pytest.mark.slow
def test_a_deletion_killed_at_any_step_is_finished_by_the_next(db, album, killed):
    kept = of_others(everything(db), "photos")
    # One statement drops all tables; in one transaction ten shared ones forget.
    for step in (0, 1, 5, 10):
        assert killed(step, "delete_collection", "photos")
        if step == 1:  # made again instead
            assert db.collections() == ["photos2"]
            make(db, "photos")
            assert_works(db, "photos")
        db.delete_collection("photos")
        assert everything(db) == kept
        make(db, "photos")
    assert not killed(11, "delete_collection", "photos")
    assert everything(db) == kept


def test_the_list_tells_rows_model_size_and_index(db, album):
    db.rows("CREATE TABLE odd (id VARCHAR(9), image_name VARCHAR(9), embedding VECTOR(2))")
    db.rows("ANALYZE TABLE photos")
    found = {status.name: status for status in db.status()}
    assert set(found) == {"photos", "photos2"}
    assert found["photos"] == db.collection("photos").status()
    assert (found["photos"].rows, found["photos"].indexed, found["photos"].dim) == (N, N, DIM)
    page = 16_384
    # The table has 230 rows of 64 bytes and a key, and six tables beside it have a page each.
    assert 8 * page <= found["photos"].size <= 40 * page


def test_a_statement_of_the_list_changes_nothing(db, album, database_url):
    statements: list[Statement] = []
    with lookalike.connect(database_url, tracer=statements.append) as listing:
        listing.status()
        listing.delete_collection("photos", dry_run=True)
    assert all(statement.sql.startswith("SELECT") for statement in statements)
