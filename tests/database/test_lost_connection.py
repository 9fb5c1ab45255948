"""Connections that are lost, locks that others hold, a server that dies: nothing twice or lost."""

import random
import re
import select
import shutil
import socket
import threading
import time
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

import lookalike
from lookalike import ConnectionFailed, IndexSizes
from lookalike.database.link import Link
from tests.colours import TABLE, Colours, add_with, assert_stored, paint, paint_many
from tests.mortal_server import MortalServer, mortal_server
from tests.one_connection import one_connection

pytestmark = pytest.mark.slow

COMMIT = b"\x03COMMIT"
N = 200
SIZES = IndexSizes(fewest_rows=50)


@pytest.fixture(scope="module")
def mortal(installed_mysqld):
    with mortal_server(installed_mysqld) as server:
        yield server


@pytest.fixture
def url(mortal: MortalServer) -> str:
    return mortal.new_database()


@pytest.fixture
def folder(tmp_path):
    """200 images, of which ten are copies; and two files that are none."""
    folder = tmp_path / "images"
    for file in paint_many(folder, N - 10)[::19]:
        shutil.copy(file, file.with_name(f"{file.stem} again.png"))
    (folder / "00077.jpg").write_text("a shopping list")
    (folder / "00177.jpg").write_text("another")
    return folder


def add(colours, folder, **options):
    """Add in many transactions, with a scanner that is at work until the end."""
    return add_with(colours, folder, scan_files=20, write_images=16, **options)


def name_of(url):
    return urlsplit(url).path[1:]


class Killer:
    """Kills the connections to a database, through another one."""

    def __init__(self, url: str) -> None:
        self._name = name_of(url)
        self._db = lookalike.connect(url.replace(self._name, "mysql"))
        self._lock = threading.Lock()
        self.kills = 0

    def kill(self, choose=lambda ids: ids) -> None:
        query = "SELECT id FROM information_schema.processlist WHERE db = %s"
        with self._lock:
            ids = [row[0] for row in self._db.rows(query, (self._name,))[1]]
            for thread in choose(ids) if ids else []:
                with suppress(lookalike.DatabaseError):  # it has gone by itself
                    self._db.rows(f"KILL {thread}")
                    self.kills += 1

    def close(self) -> None:
        self._db.close()


def in_the_run(statement):
    """Whether a statement is one that a run tries again."""
    return threading.current_thread().name in ("lookalike-scan", "lookalike-write")


# Connections.


def test_a_run_outlives_the_loss_of_its_connections(url, folder, monkeypatch):
    dice, opened = random.Random(1), set()
    open_link = Link.__init__

    def watch(*args, **options):
        opened.add(threading.current_thread().name)
        open_link(*args, **options)

    def kill_one(statement):
        # So few that no transaction is tried for as long as its retries last.
        if in_the_run(statement) and dice.random() < 0.1 and killer.kills < 30:
            killer.kill(lambda ids: [dice.choice(ids)])

    with (
        closing(Killer(url)) as killer,
        lookalike.connect(url, index_sizes=SIZES, tracer=kill_one) as db,
    ):
        colours = db.collection(TABLE, model=Colours())
        monkeypatch.setattr(Link, "__init__", watch)
        report = add(colours, folder, batch_size=8)
        assert (report.added, report.reused, len(report.failed)) == (N - 10, 10, 2)
        assert killer.kills >= 8 and {"lookalike-scan", "lookalike-write"} <= opened
        assert_stored(db, folder)
        assert colours.status().last_run.added == N - 10


@pytest.mark.parametrize(
    "moment",
    ["REPLACE INTO lookalike_runs", "indexed_through", "UPDATE lookalike_runs", "GET_LOCK"],
)
def test_a_run_outlives_a_loss_before_and_after_its_work(url, folder, moment):
    def kill_once(statement):
        if moment in statement.sql and not killer.kills:
            killer.kill()

    with (
        closing(Killer(url)) as killer,
        lookalike.connect(url, index_sizes=SIZES, tracer=kill_once) as db,
    ):
        colours = db.collection(TABLE, model=Colours())
        report = add(colours, folder)
        assert killer.kills and report.added + report.reused == N
        last = colours.status().last_run
        assert last.ended_at is not None and last.added == report.added
        assert colours.status().indexed == N
        assert_stored(db, folder)


def test_a_connection_that_was_lost_in_between_is_opened_again(url, folder):
    with closing(Killer(url)) as killer, lookalike.connect(url, index_sizes=SIZES) as db:
        colours = db.collection(TABLE, model=Colours())
        killer.kill()
        assert add(colours, folder).added == N - 10
        killer.kill()
        assert add(colours, folder).unchanged == N


# Commits whose answer is lost.


class Proxy:
    """Passes a server's connections on; drops some at their COMMIT.

    is_dropped: called with the number of each COMMIT. was_committed: whether the server gets the
    COMMIT, and only its answer is lost.
    """

    def __init__(self, server: Path, path: Path, is_dropped, was_committed: bool) -> None:
        self._server = server
        self._is_dropped = is_dropped
        self._was_committed = was_committed
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()
        self.commits = self.dropped = 0

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
                    if source is client and content.endswith(COMMIT) and self._drop(client):
                        if self._was_committed:
                            server.sendall(content)
                            server.recv(2**20)
                        return
                    (server if source is client else client).sendall(content)

    def _drop(self, client: socket.socket) -> bool:
        self.commits += 1
        if not self._is_dropped(self.commits):
            return False
        self.dropped += 1
        client.shutdown(socket.SHUT_RDWR)
        return True

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()


@pytest.mark.parametrize("was_committed", [True, False])
def test_a_commit_whose_answer_is_lost_is_done_once(
    mortal, url, folder, tmp_path_factory, was_committed
):
    path = tmp_path_factory.getbasetemp() / f"p{was_committed:d}"
    proxy = Proxy(mortal.socket, path, lambda commit: commit % 3 == 1, was_committed)
    proxied = url.replace(urlsplit(url).query, f"unix_socket={path}")
    with closing(proxy), lookalike.connect(proxied, index_sizes=SIZES) as db:
        colours = db.collection(TABLE, model=Colours())
        report = add(colours, folder, batch_size=8)
        assert proxy.dropped >= 4
        assert (report.added, report.reused, len(report.failed)) == (N - 10, 10, 2)
        assert_stored(db, folder)
        for i in range(40):
            paint(folder / f"{i:05}.png", 0x808080 + i)
        paint(folder / "00077.jpg", 0x707070).rename(folder / "00077.png")
        dropped = proxy.dropped
        report = add(colours, folder, batch_size=8)
        assert proxy.dropped >= dropped + 1
        assert (report.added, report.updated, report.unchanged) == (0, 41, N - 41)
        assert_stored(db, folder)


# Locks.


def test_locks_of_others_are_waited_for(mortal, url, folder):
    mortal.run("SET GLOBAL innodb_lock_wait_timeout = 1")
    tries = []

    def give_way(statement):
        """Let go when the run has tried for a second time."""
        if in_the_run(statement) and statement.sql.startswith(f"INSERT INTO `{TABLE}` "):
            tries.append(statement)
            if len(tries) == 2:
                other.rows("ROLLBACK")

    with (
        one_connection(url) as other,
        lookalike.connect(url, index_sizes=SIZES, tracer=give_way) as db,
    ):
        colours = db.collection(TABLE, model=Colours())
        add(colours, folder)
        tries.clear()
        paint(folder / "00001.png", 0x808080)
        paint(folder / "new.png", 0x818181)
        other.rows("START TRANSACTION")
        other.rows(f"SELECT COUNT(*) FROM {TABLE} FOR UPDATE")
        other.rows(f"SELECT COUNT(*) FROM {TABLE}_files FOR UPDATE")
        other.rows("SELECT * FROM lookalike_index_tails FOR UPDATE")
        report = add(colours, folder)
        assert (report.added, report.updated) == (1, 1) and len(tries) == 2
        assert_stored(db, folder)


def deadlocks(db):
    query = "SELECT count FROM information_schema.innodb_metrics WHERE name = 'lock_deadlocks'"
    return db.rows(query)[1][0][0]


def test_a_deadlock_that_is_lost_is_tried_again(url, folder):
    with lookalike.connect(url, index_sizes=SIZES) as db, one_connection(url) as other:
        colours = db.collection(TABLE, model=Colours())
        add(colours, folder)
        before = deadlocks(db)
        ids = [row[0] for row in db.rows(f"SELECT id FROM {TABLE} ORDER BY id")[1]]
        for (path,) in db.rows(f"SELECT path FROM {TABLE}_files ORDER BY id LIMIT 2")[1]:
            paint(Path(path), 0x808080 + len(path))

        def cross():
            """Have what the run wants second; want what it has."""
            other.rows("START TRANSACTION")
            other.rows(f"UPDATE {TABLE} SET image_name = 'x' WHERE id > {ids[0]}")
            begun.set()
            waiting = (
                "SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"
            )
            while not other.rows(waiting)[0][0]:
                time.sleep(0.2)  # asked more often, the server answers what it has answered before
            other.rows(f"UPDATE {TABLE} SET image_name = 'x' WHERE id = {ids[0]}")
            other.rows("ROLLBACK")

        begun, thread = threading.Event(), threading.Thread(target=cross)
        thread.start()
        begun.wait()
        assert add(colours, folder).updated == 2
        thread.join()
        assert deadlocks(db) == before + 1
        assert_stored(db, folder)


# The server.


def test_a_run_outlives_a_server_that_comes_back(mortal, url, folder):
    batches, restart = [], threading.Timer(2, mortal.start)

    def die():
        batches.append(1)
        if len(batches) == 9:
            mortal.kill()
            restart.start()

    notices = []
    with lookalike.connect(url, index_sizes=SIZES, notify=notices.append) as db:
        colours = db.collection(TABLE, model=Colours(die))
        report = add(colours, folder, batch_size=8)
        restart.join()
        assert (report.added, report.reused, len(report.failed)) == (N - 10, 10, 2)
        assert_stored(db, folder)
    assert [line for line in notices if "is the server running there? Retrying for 60" in line]


def test_a_server_that_stays_away_is_given_up_with_what_is_safe(mortal, url, folder):
    batches = []

    def die():
        batches.append(1)
        if len(batches) == 12:
            mortal.kill()

    with lookalike.connect(url, index_sizes=SIZES) as db:
        colours = db.collection(TABLE, model=Colours(die))
        try:
            with pytest.raises(ConnectionFailed, match="run the same command again") as caught:
                add(colours, folder, batch_size=8, retry_timeout=1)
        finally:
            mortal.start_if_killed()
        safe = int(re.search(r"([\d,]+) images of this run are stored", str(caught.value))[1])
        with lookalike.connect(url, index_sizes=SIZES) as other:
            left = N - other.collection(TABLE).count()
            assert other.collection(TABLE).index.check().is_consistent
        assert 0 < safe <= N - left <= safe + 32  # the answer to one commit may be lost
        report = add(colours, folder, batch_size=8)
        assert report.added + report.reused == left and report.unchanged == N - left
        assert_stored(db, folder)
