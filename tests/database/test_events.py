"""Indexes that the server itself refreshes, by an event."""

import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

import lookalike
from lookalike import DatabaseError, IndexSizes, InputError
from lookalike.core.vectors import pack
from tests.collection.user_tables import DIM, names_of, vectors_of

ROWS = 120
EVENTS = "SELECT event_name FROM information_schema.events WHERE event_schema = DATABASE()"


@pytest.fixture
def index_sizes():
    return IndexSizes(fewest_rows=50, rows_for_cells=100)


@pytest.fixture
def scheduler(db):
    """A server that runs events, as it does by default."""
    was = db.rows("SELECT @@GLOBAL.event_scheduler")[1][0][0]
    db.rows("SET GLOBAL event_scheduler = ON")
    yield
    db.rows("SET GLOBAL event_scheduler = %s", (was,))


def filled(db, name="goo'ds", key_type="INT", n=ROWS):
    db.rows(f"CREATE TABLE `{name}` (id {key_type} PRIMARY KEY, v VECTOR({DIM}))")
    for number, vector in enumerate(vectors_of(1, n)):
        db.rows(f"INSERT INTO `{name}` VALUES (%s, %s)", (number, pack(vector)))
    return db.table(name)


def wait(index, seconds=20):
    """Wait until nothing is pending."""
    end = time.monotonic() + seconds
    while index.status().pending:
        assert time.monotonic() < end, index.status()
        time.sleep(0.1)


@pytest.mark.parametrize("key_type", ["INT", "VARCHAR(20)"])
def test_rows_of_other_programs_are_encoded_within_seconds(db, scheduler, key_type):
    db.install_functions()
    goods = filled(db, key_type=key_type)
    db.rows("INSERT INTO `goo'ds` VALUES (998, %s)", (pack(vectors_of(2, 1)[0]),))
    status = goods.index.schedule(1)
    assert status.scheduled == "every 1 second"
    assert status.pending == 0  # the first refresh is at once
    query = vectors_of(3, 1)[0]
    db.rows("INSERT INTO `goo'ds` VALUES (999, %s)", (pack(query),))
    db.rows("UPDATE `goo'ds` SET v = %s WHERE id = 5", (pack(-query),))
    db.rows("DELETE FROM `goo'ds` WHERE id = 6")
    wait(goods.index)
    report = goods.index.check()
    assert report.is_consistent and report.codes == ROWS + 1, report
    assert (goods.search(query, k=1)[0].key or goods.search(query, k=1)[0].id) in (999, "999")
    # Scheduling again replaces the event.
    assert goods.index.schedule(3600).scheduled == "every 3600 seconds"
    assert db.rows(EVENTS)[1] == [("lookalike_1_refresh",)]
    assert [each.scheduled for each in db.tables()] == ["every 3600 seconds"]
    assert goods.index.unschedule().scheduled is None
    assert db.rows(EVENTS)[1] == []
    assert goods.index.unschedule().scheduled is None  # twice is harmless


@pytest.mark.parametrize("key_type", ["INT", "VARCHAR(20)"])
def test_a_refresh_beside_a_writer_that_has_not_committed(db, database_url, key_type):
    """What commits while a refresh runs is not lost, and neither waits for the other."""
    db.install_functions()
    goods = filled(db, key_type=key_type)
    goods.index.build()
    new = pack(vectors_of(2, 1)[0])
    with lookalike.connect(database_url) as other, other.session(), ThreadPoolExecutor(1) as pool:
        other.rows("START TRANSACTION")
        other.rows("UPDATE `goo'ds` SET v = %s WHERE id = 5", (new,))
        other.rows("INSERT INTO `goo'ds` VALUES (-7, %s)", (new,))
        refreshed = pool.submit(db.rows, "CALL lookalike_refresh(%s)", ("goo'ds",))
        with suppress(TimeoutError):
            refreshed.result(1)
        other.rows("INSERT INTO `goo'ds` VALUES (998, %s)", (new,))
        other.rows("COMMIT")
        refreshed.result(60)
    db.rows("CALL lookalike_refresh(%s)", ("goo'ds",))
    report = goods.index.check()
    assert report.is_consistent and report.codes == ROWS + 2, report
    found = goods.search(vectors_of(2, 1)[0], k=3)
    assert sorted(str(match.key or match.id) for match in found) == ["-7", "5", "998"]


def test_dropping_an_index_leaves_no_event(db, scheduler):
    db.install_functions()
    filled(db).index.schedule(1)
    db.drop_index("goo'ds")
    assert db.rows(EVENTS)[1] == [] and names_of(db) == set()


def test_a_table_in_another_database(db, scheduler):
    db.install_functions()
    other = f"{db.connection.url.database}_other"
    db.rows(f"CREATE DATABASE {other}")
    try:
        db.rows(f"CREATE TABLE {other}.goods (id INT PRIMARY KEY, v VECTOR({DIM}))")
        for number, vector in enumerate(vectors_of(1, ROWS)):
            db.rows(f"INSERT INTO {other}.goods VALUES (%s, %s)", (number, pack(vector)))
        goods = db.table("goods", schema=other)
        goods.index.schedule(1)
        db.rows(f"INSERT INTO {other}.goods VALUES (999, %s)", (pack(vectors_of(2, 1)[0]),))
        wait(goods.index)
        assert goods.index.check().is_consistent
    finally:
        db.rows(f"DROP DATABASE {other}")


def test_what_cannot_be_is_told_and_leaves_no_event(db, scheduler, database_url):
    goods = filled(db)

    def refused(kind, message, seconds=60, images=goods):
        with pytest.raises(kind, match=message) as caught:
            images.index.schedule(seconds)
        assert "\n" not in str(caught.value)
        assert db.rows(EVENTS)[1] == []

    refused(DatabaseError, "no procedure that refreshes: run lookalike install-functions")
    db.install_functions()
    for seconds in (0, -1, 86_401):
        refused(InputError, "give 1 to 86400", seconds)
    db.rows("SET GLOBAL event_scheduler = OFF")
    refused(DatabaseError, "event scheduler is off: .* SET PERSIST event_scheduler = ON;")
    db.rows("SET GLOBAL event_scheduler = ON")
    db.rows("UPDATE lookalike_indexes SET rotation = 'dense'")
    refused(InputError, "of an older version.*: run lookalike index rebuild --collection goo'ds")
    db.rows("UPDATE lookalike_indexes SET rotation = 'factored'")
    refused(
        InputError, "has no index yet: when the table has 50 rows, run", 60, filled(db, "few", n=9)
    )
    photos = db.collection("photos", dim=2)
    photos.add_embeddings(["a"], [[1, 0]])
    refused(InputError, "'photos' is a collection, whose index is refreshed by", 60, photos)
    name, database = f"u{uuid.uuid4().hex[:12]}", db.connection.url.database
    db.rows(f"CREATE USER {name}@localhost")
    try:
        rights = "SELECT, INSERT, UPDATE, DELETE, EXECUTE, CREATE TEMPORARY TABLES, TRIGGER"
        db.rows(f"GRANT {rights} ON {database}.* TO {name}@localhost")
        url = database_url.replace("//root@", f"//{name}@")
        with lookalike.connect(url) as guest:
            images = guest.collection("goo'ds")
            refused(
                DatabaseError,
                f"user '{name}' may not create events: have an administrator run "
                f"GRANT EVENT ON `{database}`.* TO '{name}'@'localhost';",
                60,
                images,
            )
            db.rows(f"GRANT EVENT ON {database}.* TO {name}@localhost")
        with lookalike.connect(url) as guest:
            assert guest.collection("goo'ds").index.schedule(60).scheduled == "every 60 seconds"
    finally:
        db.rows(f"DROP USER {name}@localhost")


def test_an_event_that_does_not_run_is_told(db, scheduler):
    db.install_functions()
    goods = filled(db)
    goods.index.schedule(60)
    db.rows("SET GLOBAL event_scheduler = OFF")
    assert goods.index.status().scheduled == "every 60 seconds, but the event scheduler is off"
    db.rows("ALTER EVENT lookalike_1_refresh DISABLE")
    assert goods.index.status().scheduled == "every 60 seconds, but the event is disabled"
