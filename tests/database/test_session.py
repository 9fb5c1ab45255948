"""Servers of any configuration: what lookalike relies on is set by each of its sessions."""

import select
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from pathlib import Path

import numpy as np
import pymysql
import pytest

import lookalike
from lookalike import ConnectionFailed, DatabaseError, IndexSizes
from lookalike.database.errors import ConnectionLost, LockTimeout
from lookalike.database.retry import Persistence
from lookalike.dialects import Statement
from tests.impatient import impatient
from tests.mortal_server import MortalServer
from tests.own_server import own_server

ODD = (
    "--autocommit=0",
    "--sql-mode=ANSI,NO_BACKSLASH_ESCAPES,PAD_CHAR_TO_FULL_LENGTH,NO_UNSIGNED_SUBTRACTION,"
    "HIGH_NOT_PRECEDENCE,NO_AUTO_VALUE_ON_ZERO,TIME_TRUNCATE_FRACTIONAL",
    "--transaction-isolation=READ-UNCOMMITTED",
    "--default-time-zone=-11:00",
    "--group-concat-max-len=4",
    "--max-execution-time=1",
    "--max-join-size=1000",
    "--lock-wait-timeout=31536000",
    "--innodb-lock-wait-timeout=1000000000",
    "--wait-timeout=2",
    "--net-write-timeout=1",
    "--character-set-server=latin1",
    "--collation-server=latin1_german1_ci",
    "--explicit-defaults-for-timestamp=OFF",
)
ODD_GLOBALS = (
    *("sql_select_limit = 50", "sql_safe_updates = 1", "sql_auto_is_null = 1"),
    *("foreign_key_checks = 0", "unique_checks = 0", "sql_big_selects = 0"),
)
NAMES = ["plain", "it's", 'a "b"', "back\\slash", "%s %d", "ümläut `", "new\nline", "100%"]


@pytest.fixture(scope="module")
def odd(installed_mysqld) -> Iterator[MortalServer]:
    """A server whose every default is another than usual."""
    with own_server(installed_mysqld, *ODD) as server:
        for setting in ODD_GLOBALS:
            server.run(f"SET GLOBAL {setting}")
        yield server


@pytest.fixture
def url(odd: MortalServer) -> str:
    return odd.new_database()


def embeddings(n: int, dim: int = 32) -> np.ndarray:
    return np.random.default_rng(7).standard_normal((n, dim)).astype(np.float32)


def nearest(vectors: np.ndarray, query: np.ndarray, k: int) -> list[int]:
    """The places of the k vectors most similar by cosine."""
    lengths = np.linalg.norm(vectors.astype(float), axis=1)
    return np.argsort(-(vectors.astype(float) @ query) / lengths)[:k].tolist()


def other_client(server: MortalServer, url: str) -> "pymysql.Connection":
    """A connection of another program's, which has the time that the server's defaults deny."""
    return pymysql.connect(
        unix_socket=str(server.socket),
        user="root",
        database=url.split("/")[3].split("?")[0],
        init_command="SET max_execution_time = 0, wait_timeout = 600",
    )


def test_what_is_stored_is_kept(odd, url):
    with lookalike.connect(url) as db:
        db.collection("kept", dim=32).add_embeddings(NAMES, embeddings(len(NAMES)))
        db.collection("kept").threshold.set(0.33)
        db.sql("UPDATE kept SET image_name = %s WHERE id = 1", ("re'named\\",))
    with lookalike.connect(url) as db:
        kept = db.collection("kept")
        assert kept.threshold.get() == 0.33
        assert [record.image_name for record in kept.records(range(1, 9))] == [
            "re'named\\",
            *NAMES[1:],
        ]


def test_a_searcher_sees_what_others_add(url):
    vectors = embeddings(180)
    with lookalike.connect(url) as searcher, lookalike.connect(url) as writer:
        writer.collection("seen", dim=32).add_embeddings(["a"] * 100, vectors[:100])
        seen = searcher.collection("seen")
        assert seen.count() == 100
        ids = writer.collection("seen").add_embeddings(["b"] * 80, vectors[100:])
        assert seen.count() == 180
        assert seen.search(vectors[150], k=1)[0].id == ids[50]


def test_every_row_is_looked_at(url):
    vectors = embeddings(1500)
    with lookalike.connect(url) as db:
        many = db.collection("many", dim=32)
        ids = many.add_embeddings([f"n{i}" for i in range(1500)], vectors)
        places = {row_id: place for place, row_id in enumerate(ids)}
        for query in vectors[::50] + 0.01:
            found = [places[match.id] for match in many.search(query, k=10, exact=True)]
            assert found == nearest(vectors, query, 10)
        assert many.index.check().is_consistent
        assert len(db.rows("SELECT id FROM many")[1]) == 1500


def test_images_attributes_and_deletions(url, photos):
    with lookalike.connect(url) as db:
        images = db.collection("images")
        added = images.add(photos).added
        assert added > 10 and images.add(photos).unchanged == added
        rows = [{"path": str(photos / "cat.jpg"), "brand": 'O\'Neil \\ "x" é', "price": 3.5}]
        assert images.attributes.set(rows).stored == 1
        assert images.attributes.index("price")
        (match,) = images.search(photos / "bee.jpg", where={"brand": 'O\'Neil \\ "x" é'})
        assert match.image_name == "cat.jpg"
        last = images.status().last_run
        now = time.time()
        assert last.started_at <= last.ended_at
        assert now - 600 < last.started_at.timestamp() <= now + 2
        assert images.remove("cat.jpg") == 1
        assert db.rows("SELECT COUNT(*) FROM images_files")[1] == [(added - 1,)]


def test_idle_sessions_stay(url):
    with lookalike.connect(url) as db:
        (own,) = db.rows("SELECT CONNECTION_ID()")[1][0]
        time.sleep(3)  # the server's default is to close them after 2 seconds
        assert db.rows("SELECT CONNECTION_ID()")[1] == [(own,)]


def test_settings_are_made_again_on_reconnecting(odd, url):
    with lookalike.connect(url) as db:
        before = db.rows("SELECT @@autocommit, @@sql_mode, @@sql_select_limit")[1]
        (own,) = db.rows("SELECT CONNECTION_ID()")[1][0]
        with closing(other_client(odd, url)) as other:
            other.cursor().execute(f"KILL {own}")
        assert db.rows("SELECT CONNECTION_ID()")[1] != [(own,)]
        assert db.rows("SELECT @@autocommit, @@sql_mode, @@sql_select_limit")[1] == before
        assert before[0][0] == 1


def test_a_server_that_is_read_only_can_be_searched(odd, url):
    vectors = embeddings(300)
    with lookalike.connect(url) as db:
        ids = db.collection("still", dim=32).add_embeddings(["a"] * 300, vectors)
    odd.run("CREATE USER IF NOT EXISTS reader@localhost", "GRANT SELECT ON *.* TO reader@localhost")
    odd.run("SET GLOBAL super_read_only = 1")
    try:
        for user in ("root", "reader"):
            with lookalike.connect(url.replace("root", user, 1)) as db:
                assert db.collection("still").search(vectors[7], k=1)[0].id == ids[7]
                with pytest.raises(DatabaseError, match="read-only|lacks a privilege"):
                    db.collection("still").remove_rows(ids[:1])
    finally:
        odd.run("SET GLOBAL super_read_only = 0", "SET GLOBAL read_only = 0")
    odd.run("SET GLOBAL transaction_read_only = 1")
    try:
        with lookalike.connect(url) as db:
            assert db.collection("still").search(vectors[7], k=1)[0].id == ids[7]
            with pytest.raises(DatabaseError, match="READ ONLY"):
                db.collection("still").remove_rows(ids[:1])
    finally:
        odd.run("SET GLOBAL transaction_read_only = 0")


# Locks of others.


def test_the_wait_for_a_table_has_an_end(odd, url):
    with lookalike.connect(url) as db:
        db.collection("held", dim=32).add_embeddings(["a"], embeddings(1))
        with closing(other_client(odd, url)) as idle:
            idle.cursor().execute("SELECT COUNT(*) FROM held")  # and no COMMIT
            started = time.monotonic()
            with (
                db.connection.lock_wait(1),
                pytest.raises(DatabaseError, match="another client locks a row or table") as caught,
            ):
                db.rows("ALTER TABLE held ADD COLUMN more INT")
            assert 0.5 < time.monotonic() - started < 10
            assert isinstance(caught.value, LockTimeout) and "\n" not in str(caught.value)
            waits = "SELECT @@lock_wait_timeout, @@innodb_lock_wait_timeout"
            assert db.rows(waits)[1] == [(50, 50)]
        db.rows("ALTER TABLE held ADD COLUMN more INT")


def test_attributes_do_not_wait_for_ever(odd, url):
    rows = [{"path": "a", "price": 3}]
    with impatient(url) as db:
        held = db.collection("held", dim=32)
        held.add_embeddings(["a"], embeddings(1))
        with closing(other_client(odd, url)) as idle:
            idle.cursor().execute("SELECT COUNT(*) FROM held")
            with pytest.raises(DatabaseError, match="end that transaction"):
                held.attributes.set(rows)
        assert held.attributes.set(rows).stored == 1
        with closing(other_client(odd, url)) as idle:
            idle.cursor().execute("SELECT COUNT(*) FROM held")
            with pytest.raises(DatabaseError, match="end that transaction"):
                held.attributes.index("price")
        assert held.attributes.index("price")


# Proxies.


class Meddler:
    """Passes connections on to a server, and puts other words into its clients' mouths."""

    def __init__(self, server: Path, path: Path, said: bytes, heard: bytes) -> None:
        assert len(said) == len(heard)
        self._server, self._said, self._heard = server, said, heard
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                client, _ = self._listener.accept()
                self._threads.append(threading.Thread(target=self._serve, args=(client,)))
                self._threads[-1].start()

    def _serve(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as server, suppress(OSError):
            server.connect(str(self._server))
            while True:
                for source in select.select([client, server], [], [])[0]:
                    content = source.recv(2**20)
                    if not content:
                        return
                    if source is client:
                        server.sendall(content.replace(self._said, self._heard))
                    else:
                        client.sendall(content)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()


@pytest.mark.parametrize(
    ("said", "heard", "named"),
    [
        (b"autocommit = 1", b"autocommit = 0", "autocommit is 0, not 1"),
        (b"'REPEATABLE-READ'", b"'READ-COMMITTED' ", "transaction_isolation is READ-COMMITTED"),
        (b"utf8mb4_0900_ai_ci", b"utf8mb4_0900_as_ci", "collation_connection is utf8mb4_0900_as"),
    ],
)
def test_a_proxy_that_changes_settings_is_refused(odd, url, tmp_path, said, heard, named):
    path = tmp_path / "proxy"
    meddler = Meddler(odd.socket, path, said, heard)
    try:
        with pytest.raises(ConnectionFailed, match=f"does not keep .* session: {named}") as caught:
            lookalike.connect(url.replace(str(odd.socket), str(path)))
        assert "\n" not in str(caught.value) and not isinstance(caught.value, ConnectionLost)
    finally:
        meddler.close()


# Servers that die in the midst of an answer.

MANY_BYTES = Statement(
    "WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 1000) "
    "SELECT i, REPEAT('x', 60000) FROM n"
)


@pytest.fixture(scope="module")
def mortal(installed_mysqld) -> Iterator[MortalServer]:
    with own_server(installed_mysqld) as server:
        yield server


def test_a_server_that_dies_in_a_stream_is_a_lost_connection(mortal):
    with lookalike.connect(mortal.new_database()) as db:
        stream = db.connection.stream(MANY_BYTES, batch=10)
        assert len(next(stream)) == 10
        mortal.kill()
        try:
            with pytest.raises(ConnectionFailed, match="cannot reach") as caught:
                list(stream)
        finally:
            mortal.start()
        assert isinstance(caught.value, ConnectionLost) and "\n" not in str(caught.value)
        assert "NoneType" not in str(caught.value)
        assert db.rows("SELECT 1")[1] == [(1,)]  # on a new connection


def test_what_a_dying_server_cuts_short_is_done_again(mortal):
    with lookalike.connect(mortal.new_database()) as db:
        kills = []

        def read() -> int:
            count = 0
            for rows in db.connection.stream(MANY_BYTES, batch=10):
                count += len(rows)
                if not kills:
                    kills.append(mortal.kill())
                    mortal.start()
            return count

        assert Persistence().run(read) == 1000
        assert len(kills) == 1


def test_a_search_that_a_dying_server_cuts_short_says_so(mortal):
    vectors = embeddings(6_000, 512)
    never = IndexSizes(fewest_rows=20_000)
    with lookalike.connect(mortal.new_database(), index_sizes=never) as db:
        db.collection("large", dim=512).add_embeddings(["a"] * 6_000, vectors)
        url = str(db.connection.url)
    killed = []

    def kill_late(statement: Statement) -> None:
        if "embedding IS NOT NULL" in statement.sql and not killed:
            killed.append(threading.Timer(0.05, mortal.kill))
            killed[0].start()

    with lookalike.connect(url, tracer=kill_late) as db:
        large = db.collection("large")
        try:
            with pytest.raises(ConnectionFailed) as caught:
                for _ in range(50):
                    large.search(vectors[0], exact=True)
            assert isinstance(caught.value, ConnectionLost)
        finally:
            killed[0].join()
            mortal.start()
    with lookalike.connect(url) as db:
        large = db.collection("large")
        assert large.count() == 6_000
        assert large.search(vectors[5_999], k=1, exact=True)[0].similarity > 0.999
