"""Servers that are odd, are killed, or are moved away from."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

import lookalike
from lookalike import PrivateServer, UnsupportedServer
from lookalike.dialects.mysql_native import MySQLNative
from tests import seekdb_server
from tests.conftest import ENGINES, TEST_HOME, database_on
from tests.engines.everything import DIM, use_everything
from tests.oracle import nearest

MODES = [
    "ANSI,NO_BACKSLASH_ESCAPES,IGNORE_SPACE",
    "TRADITIONAL,PIPES_AS_CONCAT,NO_UNSIGNED_SUBTRACTION,HIGH_NOT_PRECEDENCE",
    "NO_AUTO_VALUE_ON_ZERO,PAD_CHAR_TO_FULL_LENGTH,ANSI_QUOTES",
    "",
]


@pytest.mark.nightly
@pytest.mark.capability("sql_mode")
@pytest.mark.parametrize("mode", MODES)
def test_the_servers_sql_mode_changes_nothing(request, engine, mode):
    ((before,),) = engine.rows("SELECT @@GLOBAL.sql_mode")[1]
    engine.rows("SET GLOBAL sql_mode = %s", (mode,))
    try:
        name = request.node.callspec.params["engine"]
        with database_on(request, name) as db:
            use_everything(db)
    finally:
        engine.rows("SET GLOBAL sql_mode = %s", (before,))


# Killed.

WRITE = """
import sys, numpy as np, lookalike

with lookalike.connect(sys.argv[1]) as db:
    own = db.collection("own", dim=8)
    for step in range(100_000):
        rows = np.random.default_rng(step).standard_normal((30, 8)).astype(np.float32)
        own.add_embeddings([f"{step}"] * 30, rows)
        print(step, flush=True)
"""


@contextmanager
def private_to_kill(request, engine, folder):
    """A server of a new home: returns its URL each time that it is started, and its pid."""
    home = PrivateServer(folder, engine=engine)
    home.folders.home.mkdir(mode=0o700, parents=True, exist_ok=True)
    request.getfixturevalue("server" if engine == "mysql" else engine)
    home.folders.tree.symlink_to(PrivateServer(TEST_HOME, engine=engine).folders.tree.resolve())

    @contextmanager
    def started():
        status = home.start()
        yield home.url, lambda: os.kill(status.pid, signal.SIGKILL)

    try:
        yield started
    finally:
        home.stop()


@contextmanager
def seekdb_to_kill(folder):
    @contextmanager
    def started():
        with seekdb_server.opened(folder / "data") as socket:
            yield seekdb_server.url(socket), lambda: seekdb_server.kill(folder / "data")

    yield started


@pytest.mark.nightly
@pytest.mark.capability("server killed")
@pytest.mark.parametrize("engine_name", list(ENGINES))
def test_what_was_stored_is_there_after_kills_of_the_server(request, engine_name):
    """Every batch whose end was told is there, and none in part."""
    told = []
    with tempfile.TemporaryDirectory(prefix="lk-") as name:
        kind = "mysql" if engine_name == "mysql_native" else engine_name
        folder = Path(name)
        opened = (
            seekdb_to_kill(folder)
            if kind == "oceanbase"
            else private_to_kill(request, kind, folder)
        )
        with opened as started:
            for pause in (0.4, 0.9):
                with started() as (url, kill):
                    told += written_until(url, kill, pause)
            with started() as (url, _), lookalike.connect(url) as db:
                if engine_name == "mysql_native":
                    db.install_functions()
                    db.dialect = MySQLNative()
                check(db, told)


def written_until(url, kill, pause):
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITE, url],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    first = writer.stdout.readline()
    time.sleep(pause)
    kill()
    rest = writer.communicate(timeout=100)[0]
    assert writer.returncode != 0
    return [int(line) for line in (first + rest).split()]


def check(db, told):
    own = db.collection("own")
    rows = db.rows("SELECT image_name, COUNT(*) FROM own GROUP BY image_name")[1]
    stored = {int(name): count for name, count in rows}
    assert told and all(count % 30 == 0 for count in stored.values())
    assert all(stored[step] >= 30 * told.count(step) for step in told)
    items = own.browse(k=10_000, order_by="id", include=["embedding"])
    for item in items[::30]:
        first = np.random.default_rng(int(item.image_name)).standard_normal((30, DIM))
        assert np.array_equal(item.embedding, first[0].astype(np.float32))
    vectors = np.array([item.embedding for item in items])
    query = np.ones(DIM)
    expected = [items[place - 1].id for place in nearest(vectors, query)[:10]]
    assert [match.id for match in own.search(query, k=10, exact=True)] == expected
    own.add_embeddings(["-1"], query[np.newaxis])
    assert own.search(query, k=1)[0].image_name == "-1"
    assert own.index.check().is_consistent


# Moved away from.


@pytest.mark.capability("copy")
def test_collections_are_copied_to_mysql_and_back(request, engine, db, refused):
    vectors = np.random.default_rng(6).standard_normal((50, DIM)).astype(np.float32)
    own = engine.collection("own", dim=DIM)
    values = [{"label": f"é{i}", "tags": ["x"]} for i in range(50)]
    own.upsert(vectors, names=[f"v{i}" for i in range(50)], attributes=values)
    own.threshold.set(0.5)
    if engine.dialect.sends_text:
        with refused(engine, "gives embeddings as text", UnsupportedServer):
            engine.copy_collection("own", db)
        return
    assert engine.copy_collection("own", db).rows == 50
    with database_on(request, request.node.callspec.params["engine"]) as back:
        db.copy_collection("own", back)
        for copied in (db.collection("own"), back.collection("own")):
            items = copied.get(range(1, 51), include=["embedding", "attributes"])
            assert np.array([each.embedding for each in items]).tobytes() == vectors.tobytes()
            assert [each.attributes for each in items] == values
            assert copied.threshold.get() == 0.5
