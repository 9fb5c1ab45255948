"""Servers that are killed, stand still or lag: nothing is lost, and no answer is an old one."""

import os
import random
import signal
import threading
import time
from contextlib import closing, contextmanager

import pymysql
import pytest

import lookalike
from lookalike.database.errors import ConnectionLost
from tests.cluster.adding import Adding, make_images

pytestmark = pytest.mark.nightly

KILLS = int(os.environ.get("LOOKALIKE_TEST_KILLS", "1"))
MAX_LAG = 3.0
SLACK = 1.5  # a search takes a while, on a machine that does other things


@pytest.mark.parametrize("seed", range(KILLS))
def test_add_goes_on_when_the_primary_is_killed(group, url, tmp_path, seed):
    paths = make_images(tmp_path / "images", 120, seed)
    adding = Adding(tmp_path / "images", url)
    acknowledged = random.Random(seed).randrange(4, 60)
    while adding.acknowledged < acknowledged:
        assert adding.is_running, adding.output
        time.sleep(0.01)
    name = url.rpartition("/")[2]
    primary, files = group.primary, f"SELECT path, id FROM {name}.image_embeddings_files"
    told = adding.acknowledged
    primary.kill()
    assert adding.wait(120) == 0, adding.output
    assert "added 120 failed 0" in adding.output
    rows = group.run_on_primary(files)
    assert len(rows) == len(paths) >= told
    assert {path for path, _ in rows} == paths
    counted = f"SELECT COUNT(*), COUNT(DISTINCT id) FROM {name}.image_embeddings"
    assert group.run_on_primary(counted) == [(120, 120)]
    with lookalike.connect(url) as db:
        assert db.collection().index.status().rows == 120
        newest = db.collection().search(max(paths), k=1)
        assert str(newest[0].path) == max(paths)
    group.restart(primary)
    assert primary.run(f"SELECT COUNT(*) FROM {name}.image_embeddings") == [(120,)]


@contextmanager
def locked(*nodes):
    """Keep secondaries from applying what the group commits."""
    connections = [pymysql.connect(unix_socket=str(node.socket), user="root") for node in nodes]
    try:
        for connection in connections:
            connection.query("FLUSH TABLES WITH READ LOCK")
        yield
    finally:
        for connection in connections:
            connection.close()


class Answers:
    """Writes rows and searches for the newest, for as long as a test goes on.

    oldest: the age of the oldest answer: how long ago the newest row that it lacks was committed.
    """

    def __init__(self, db):
        self._points = db.collection("points", dim=2)
        self._committed = [(time.monotonic(), self._points.upsert([[1.0, 0.0]])[0])]
        self.oldest, self.n_searches = 0.0, 0

    def write(self):
        row_id = self._points.upsert([[1.0, 0.0]])[0]
        self._committed.append((time.monotonic(), row_id))

    def search(self):
        asked = time.monotonic()
        found = {match.id for match in self._points.search([1.0, 0.0], k=1000)}
        self.n_searches += 1
        lacking = [at for at, row_id in self._committed if row_id not in found]
        if lacking:
            self.oldest = max(self.oldest, asked - min(lacking))

    def go_on(self, seconds, *, writes=True):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if writes:
                self.write()
            self.search()
            time.sleep(0.05)


def test_a_secondary_that_lags_does_not_answer(group, url):
    told = []
    with lookalike.connect(f"{url}?max_lag={MAX_LAG:g}", notify=told.append) as db:
        answers = Answers(db)
        answers.go_on(2)
        behind, other = group.secondaries
        with locked(behind):
            answers.go_on(MAX_LAG + 4)
            assert f"Searches pass over 127.0.0.1:{behind.port}: it is more than 3 s" in str(told)
            assert {each.problem is None for each in db.members()} == {True, False}
        with locked(behind, other):
            answers.go_on(MAX_LAG + 4)
            assert f"pass over 127.0.0.1:{other.port}" in str(told)
            answers.search()  # by the primary
        answers.go_on(6)
        assert all(member.problem is None for member in db.members())
        assert f"Searches go to 127.0.0.1:{behind.port} again." in told
    assert answers.n_searches > 50
    assert answers.oldest < MAX_LAG + SLACK


def test_a_table_that_a_secondary_has_not_got_yet(group, url):
    with lookalike.connect(url) as db:
        time.sleep(2.5)
        with locked(*group.secondaries):
            new = db.collection("new", dim=2)
            ids = new.upsert([[1, 0]])
            assert [match.id for match in new.search([1, 0])] == ids


def test_own_writes_are_seen_while_a_secondary_lags(group, url):
    """It is waited for, and where it takes too long another server answers."""
    given = f"{url}?max_lag={MAX_LAG:g}&read_your_writes=true"
    with lookalike.connect(given) as db:
        answers = Answers(db)
        answers.go_on(1)
        with locked(group.secondaries[0]):
            answers.go_on(8)
        answers.go_on(1)
    assert answers.oldest == 0


@pytest.mark.parametrize("is_primary", [False, True], ids=["secondary", "primary"])
def test_a_server_that_stands_still_gives_no_old_answer(group, url, is_primary):
    """Neither while it is cut off nor when it is back, and has not noticed what it missed."""
    stopped = group.primary if is_primary else group.secondaries[0]
    with lookalike.connect(f"{url}?max_lag={MAX_LAG:g}") as db:
        answers = Answers(db)
        answers.go_on(2)
        stopped.signal(signal.SIGSTOP)
        lost = 0
        until = time.monotonic() + 25
        while time.monotonic() < until:
            try:
                answers.write()
            except lookalike.DatabaseError:  # a statement is not retried, an `add` is
                assert is_primary
                lost += 1
            answers.search()
            time.sleep(0.1)
        stopped.signal(signal.SIGCONT)
        answers.go_on(10)
    assert answers.oldest < MAX_LAG + SLACK
    assert answers.n_searches > 100
    assert lost < 100


def test_a_lock_ends_with_its_primary(group, url):
    """Who held it cannot go on, so that two programs never train one index."""
    with lookalike.connect(url) as one, lookalike.connect(url) as other:
        one.collection("points", dim=2).upsert([[1, 0]])
        table, dialect = one.collection("points")._state.table, one.dialect
        lock, unlock = dialect.trainer_lock(table, 0), dialect.trainer_unlock(table)
        with one.connection.named_lock(lock, unlock) as is_ours:
            assert is_ours
            group.primary.kill()
            other.connection.cluster.suspect()
            deadline = time.monotonic() + 60
            while True:
                try:
                    with other.connection.named_lock(lock, unlock) as is_theirs:
                        assert is_theirs
                        break
                except lookalike.DatabaseError:
                    assert time.monotonic() < deadline
                    time.sleep(0.2)
            with pytest.raises(ConnectionLost):
                one.connection.value(dialect.count_rows(table))


def test_a_search_that_waits_for_a_lost_server_is_answered_by_another(group, url):
    with lookalike.connect(url) as db:
        db.collection("points", dim=2).upsert([[1, 0]])
        points = db.collection("points")
        time.sleep(2.5)
        group.secondaries[0].signal(signal.SIGSTOP)
        found = []
        searching = [
            threading.Thread(target=lambda: found.append(points.search([1, 0]))) for _ in range(4)
        ]
        for thread in searching:
            thread.start()
        for thread in searching:
            thread.join(30)
        assert [[match.id for match in each] for each in found] == [[1]] * 4


def test_without_a_majority_nothing_is_answered_for_long(group, url):
    """What the last server sees may be old, and it cannot know."""
    with lookalike.connect(f"{url}?max_lag={MAX_LAG:g}") as db:
        points = db.collection("points", dim=2)
        points.upsert([[1, 0]])
        stopped = [group.primary, group.secondaries[0]]
        for node in stopped:
            node.signal(signal.SIGSTOP)
        time.sleep(MAX_LAG + 6)
        with pytest.raises(lookalike.DatabaseError, match="has no primary at present"):
            points.search([1, 0])


def test_connecting_waits_for_a_new_primary(group, url):
    group.primary.kill()
    started = time.monotonic()
    with closing(lookalike.connect(url)) as db:
        assert db.collection("points", dim=2).upsert([[1, 0]]) == [1]
    assert time.monotonic() - started < 30
