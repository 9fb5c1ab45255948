"""The pool of connections: shared by threads, through forks, kills and exhaustion."""

import asyncio
import contextlib
import gc
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

import lookalike
from lookalike import DatabaseError, InputError
from lookalike.database.effects import Effect, effect_of
from lookalike.database.errors import ConnectionLost, PoolExhausted
from tests.one_connection import one_connection


def own_id(db):
    return db.rows("SELECT CONNECTION_ID()")[1][0][0]


def connections(client, name):
    query = f"SELECT id FROM information_schema.processlist WHERE db = '{name}'"
    return {row[0] for row in client.rows(query)}


@pytest.fixture
def other(db, database_url):
    """Another client, in no database of ours."""
    with one_connection(database_url.replace(db.connection.url.database, "mysql")) as client:
        yield client


def settled(client, name, n):
    """Wait until so many connections are left: the server takes a moment to notice."""
    end = time.monotonic() + 10
    while len(connections(client, name)) != n and time.monotonic() < end:
        time.sleep(0.02)
    return len(connections(client, name))


# Connections are used again, replaced and bounded.


def test_one_thread_uses_one_connection_again(db, other):
    assert len({own_id(db) for _ in range(20)}) == 1
    assert len(connections(other, db.connection.url.database)) == 1


def test_threads_have_connections_of_their_own_up_to_the_size(database_url, db, other):
    name, together = db.connection.url.database, threading.Barrier(4)
    with lookalike.connect(database_url, pool_size=4) as shared:

        def work(_):
            together.wait(10)
            return shared.rows("SELECT CONNECTION_ID(), SLEEP(0.05)")[1][0][0]

        with ThreadPoolExecutor(4) as threads:
            assert len(set(threads.map(work, range(4)))) == 4
        with ThreadPoolExecutor(16) as threads:
            assert list(threads.map(lambda i: shared.rows(f"SELECT {i}")[1][0][0], range(200))) == (
                list(range(200))
            )
        assert len(connections(other, name)) <= 4 + 1
    assert settled(other, name, 1) == 1


def test_an_exhausted_pool_says_so_in_one_line(database_url):
    with lookalike.connect(database_url, pool_size=2, pool_timeout=0.2) as db:

        def ask():
            with pytest.raises(PoolExhausted, match="all 2 connections .* for 0.2 seconds") as told:
                db.rows("SELECT 1")
            assert "pool_size" in str(told.value) and "\n" not in str(told.value)

        with (
            db.connection.transaction(),
            db.connection.apart(),
            ThreadPoolExecutor(1) as threads,
        ):
            threads.submit(ask).result(10)
        assert db.rows("SELECT 1")[1] == [(1,)]


@pytest.mark.parametrize(
    ("options", "told"), [({"pool_size": 1}, "pool_size is 1"), ({"pool_timeout": -1}, "is -1")]
)
def test_options_out_of_range_are_refused(database_url, options, told):
    with pytest.raises(InputError, match=told):
        lookalike.connect(database_url, **options)


def test_a_killed_connection_is_replaced_before_its_next_use(db, other):
    db.rows("CREATE TABLE t (n INT)")
    for i in range(5):
        other.rows(f"KILL {own_id(db)}")
        settled(other, db.connection.url.database, 0)
        db.rows("INSERT INTO t VALUES (%s)", (i,))
    assert [row[0] for row in db.rows("SELECT n FROM t ORDER BY n")[1]] == list(range(5))


def test_a_kill_amid_a_transaction_fails_it_as_a_whole(db, other):
    db.rows("CREATE TABLE t (n INT)")
    with pytest.raises(ConnectionLost), db.connection.transaction():
        db.rows("INSERT INTO t VALUES (1)")
        other.rows(f"KILL {own_id(db)}")
        settled(other, db.connection.url.database, 0)
        db.rows("INSERT INTO t VALUES (2)")
    assert db.rows("SELECT n FROM t")[1] == []


# Sessions.


def test_a_session_is_one_connection_and_leaves_nothing(db):
    with db.session() as same:
        assert same is db
        db.rows("SET @x = 5")
        db.rows("SET SESSION group_concat_max_len = 7")
        db.rows("CREATE TEMPORARY TABLE mine (n INT)")
        assert db.rows("SELECT @x, @@group_concat_max_len")[1] == [(5, 7)]
        with ThreadPoolExecutor(1) as threads:
            assert threads.submit(db.rows, "SELECT @x").result(10)[1] == [(None,)]
        used = own_id(db)
    assert db.rows("SELECT @x, @@group_concat_max_len")[1] == [(None, 2**20)]
    assert own_id(db) != used
    with pytest.raises(DatabaseError, match="mine"):
        db.rows("SELECT * FROM mine")


def test_a_transaction_of_the_users_own_in_a_session(db):
    db.rows("CREATE TABLE t (n INT)")
    with db.session():
        db.rows("START TRANSACTION")
        db.rows("INSERT INTO t VALUES (1)")
        db.rows("COMMIT")
        db.rows("START TRANSACTION")
        db.rows("INSERT INTO t VALUES (2)")
    assert db.rows("SELECT n FROM t")[1] == [(1,)]


@pytest.mark.parametrize(
    "sql",
    ["SET @x = 1", " /* a */ set names latin1", "START TRANSACTION", "USE mysql", "COMMIT"],
)
def test_what_would_be_lost_at_once_is_refused_outside_sessions(db, sql):
    with pytest.raises(InputError, match=r"in `with db\.session\(\):`"):
        db.rows(sql)
    assert db.rows("SELECT @x, DATABASE()")[1] == [(None, db.connection.url.database)]


def test_what_leaves_a_state_does_not_come_back_to_the_pool(db):
    assert db.rows("SELECT @x := 3")[1] == [(3,)]
    assert db.rows("SELECT @x")[1] == [(None,)]
    db.rows("SELECT GET_LOCK('a', 0)")
    with ThreadPoolExecutor(1) as threads:
        lock = "SELECT GET_LOCK('a', 5)"
        assert threads.submit(db.rows, lock).result(10)[1] == [(1,)]
    with db.connection.transaction():
        db.rows("SET SESSION sql_mode = ''")
    assert db.rows("SELECT @@sql_mode")[1] != [("",)]


@pytest.mark.parametrize(
    ("sql", "effect"),
    [
        ("SELECT 1", Effect.NONE),
        ("(SELECT 1) UNION (SELECT 2)", Effect.NONE),
        ("-- a\n# b\n/* c */ insert into t values (1)", Effect.NONE),
        ("SELECT @@version", Effect.NONE),
        ("SELECT n FROM t INTO @x", Effect.PERHAPS),
        ("CALL p()", Effect.PERHAPS),
        ("SET GLOBAL max_connections = 5", Effect.PERHAPS),
        ("SET @@GLOBAL.max_connections = 5", Effect.PERHAPS),
        ("FLUSH TABLES WITH READ LOCK", Effect.PERHAPS),
        ("/*!40101 SET NAMES utf8 */", Effect.PERHAPS),
        ("", Effect.PERHAPS),
        ("SET @a = 1", Effect.ONLY),
        ("SET @@SESSION.sql_mode = ''", Effect.ONLY),
        ("begin", Effect.ONLY),
        ("CREATE TEMPORARY TABLE t (n INT)", Effect.ONLY),
        ("LOCK TABLES t READ", Effect.ONLY),
    ],
)
def test_effects(sql, effect):
    assert effect_of(sql) is effect


# Threads, tasks and processes that end or split.


def test_a_thread_that_ends_in_a_transaction_leaves_nothing(db, database_url):
    db.rows("CREATE TABLE t (n INT)")

    def begin():
        left = db.connection.transaction()
        left.__enter__()
        db.rows("INSERT INTO t VALUES (1)")
        assert len(db.rows("SELECT n FROM t")[1]) == 1

    for _ in range(3):
        thread = threading.Thread(target=begin)
        thread.start()
        thread.join(10)
    gc.collect()
    assert db.rows("SELECT n FROM t")[1] == []
    db.rows("ALTER TABLE t ADD COLUMN m INT")  # nobody holds it
    with db.connection.transaction():
        db.rows("INSERT INTO t VALUES (2, 2)")
    assert db.rows("SELECT n FROM t")[1] == [(2,)]


def test_a_thread_in_a_copy_of_the_context_has_its_own_connection(db):
    async def both():
        with db.connection.transaction():
            mine = own_id(db)
            return mine, await asyncio.to_thread(own_id, db)

    mine, others = asyncio.run(both())
    assert mine != others


def test_a_fork_leaves_the_parents_connections_alone(db, other):
    db.rows("CREATE TABLE t (n INT)")
    parents = own_id(db)
    with db.connection.transaction():
        db.rows("INSERT INTO t VALUES (1)")
        assert db.rows("SELECT n FROM t")[1] == [(1,)]
        reading, writing = os.pipe()
        if not (child := os.fork()):
            status = 1
            with contextlib.suppress(BaseException):
                ids = {own_id(db) for _ in range(3)}
                seen = db.rows("SELECT n FROM t")[1]
                db.rows("INSERT INTO t VALUES (2)")
                db.close()
                gc.collect()
                status = 0 if len(ids) == 1 and parents not in ids and seen == [] else 2
            os.write(writing, bytes([status]))
            os._exit(0)
        os.close(writing)
        assert os.read(reading, 1) == b"\0"
        os.waitpid(child, 0)
        os.close(reading)
        assert own_id(db) == parents
        assert db.rows("SELECT n FROM t")[1] == [(1,)]  # its snapshot
    assert sorted(db.rows("SELECT n FROM t")[1]) == [(1,), (2,)]
    assert own_id(db) == parents


def test_a_fork_amid_a_stream_and_other_threads_work(db):
    stream = db.connection.stream(lookalike.Statement("SELECT 1 UNION SELECT 2"), batch=1)
    assert next(stream) == [(1,)]
    stop = threading.Event()

    def work():
        while not stop.is_set():
            db.rows("SELECT 1")

    with ThreadPoolExecutor(2) as threads:
        busy = [threads.submit(work) for _ in range(2)]
        try:
            for _ in range(5):
                if not (child := os.fork()):
                    ok = False
                    with contextlib.suppress(BaseException):
                        stream.close()
                        ok = db.rows("SELECT 3")[1] == [(3,)]
                    os._exit(0 if ok else 1)
                assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        finally:
            stop.set()
        assert all(each.result(10) is None for each in busy)
    assert list(stream) == [[(2,)]]


def test_a_restarted_private_server_is_reached_again(server):
    with lookalike.connect(server.url) as db:
        with ThreadPoolExecutor(3) as threads:
            list(threads.map(lambda _: db.rows("SELECT SLEEP(0.05)"), range(3)))
        server.stop()
        server.start()
        with ThreadPoolExecutor(3) as threads:
            again = threads.map(lambda i: db.rows(f"SELECT {i}, SLEEP(0.05)")[1][0][0], range(3))
            assert list(again) == [0, 1, 2]
