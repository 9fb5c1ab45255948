"""A group of three servers: writes go to the primary, searches to the secondaries."""

import re
import time
from urllib.parse import quote

import numpy as np
import pytest

import lookalike
from lookalike import IndexSizes
from lookalike.core.errors import ConnectionFailed, InputError, UnsupportedServer
from tests.cluster.adding import make_images

DIM = 16


def statements(group):
    """How many SELECTs each node has run, by port."""
    query = "SHOW GLOBAL STATUS LIKE 'Com_select'"
    return {node.port: int(node.run(query)[0][1]) for node in group.nodes}


def test_writes_go_to_the_primary_and_searches_to_the_secondaries(group, url, server, tmp_path):
    """All in one test, on one worker: a group takes as long to form as the rest."""
    paths = make_images(tmp_path / "images", 8, 0)
    with lookalike.connect(url, index_sizes=IndexSizes(200, 400)) as db:
        images = db.collection("images", model="efficientnet-lite2")
        report = images.add(tmp_path / "images", facts=True)
        assert (report.added, report.failed) == (8, ())
        assert str(images.search(min(paths), k=1)[0].path) == min(paths)
        vectors = db.collection("vectors", dim=DIM)
        stored = np.random.default_rng(0).standard_normal((500, DIM))
        ids = vectors.upsert(stored)
        assert vectors.index.status().indexed == 500
        _check_tables(db)
        time.sleep(2.5)
        _check_ranking(vectors, stored, ids)
        _check_who_answers(group, vectors)
        roles = {member.address: (member.role, member.problem) for member in db.members()}
        assert roles[f"127.0.0.1:{group.primary.port}"] == ("primary", None)
        assert list(roles.values()).count(("secondary", None)) == 2
    with lookalike.connect(url, reads="primary") as db:
        before = statements(group)
        db.collection("vectors").search([1.0] * DIM)
        _, *others = sorted(_grown(group, before), reverse=True)
        assert max(others) < 20  # what the group and this program ask
    _check_own_writes(url)
    _check_locks(url)
    _check_privileges(group, url)
    _check_refusals(group, url, server)


def _check_tables(db):
    """Every table is one that a group takes: InnoDB, with a primary key."""
    _, rows = db.rows(
        "SELECT t.table_name, t.engine, COUNT(c.constraint_name) FROM information_schema.tables t "
        "LEFT JOIN information_schema.table_constraints c ON c.table_schema = t.table_schema "
        "AND c.table_name = t.table_name AND c.constraint_type = 'PRIMARY KEY' "
        "WHERE t.table_schema = DATABASE() GROUP BY 1, 2"
    )
    assert len(rows) > 10
    assert {row[1:] for row in rows} == {("InnoDB", 1)}


def _check_ranking(vectors, stored, ids):
    """The same as numpy's, whoever answers, with the index and without."""
    query = np.random.default_rng(1).standard_normal(DIM)
    cosines = stored @ query / np.linalg.norm(stored, axis=1) / np.linalg.norm(query)
    best = [ids[row] for row in np.argsort(-cosines)[:10]]
    for _ in range(4):
        assert [match.id for match in vectors.search(query, exact=True)] == best
        found = {match.id for match in vectors.search(query, oversampling=20)}
        assert len(found & set(best)) >= 9


def _check_who_answers(group, collection):
    vector = np.ones(collection.dim)
    before = statements(group)
    for _ in range(40):
        collection.search(vector, k=1)
    grown = dict(zip(before, _grown(group, before), strict=True))
    assert grown.pop(group.primary.port) < 20
    assert min(grown.values()) > 20


def _grown(group, before):
    after = statements(group)
    return [after[port] - before[port] for port in before]


def _check_own_writes(url):
    """A search sees a row at once, whichever secondary answers."""
    with lookalike.connect(url, read_your_writes=True) as db:
        points = db.collection("points", dim=2)
        for number in range(1, 16):
            (row_id,) = points.upsert([[1.0, number]])
            assert row_id in {match.id for match in points.search([1.0, number], k=3)}


def _check_locks(url):
    """Every URL's lock is one of the primary: two programs do not have it both."""
    with lookalike.connect(url) as one, lookalike.connect(url) as other:
        dialect, points = one.dialect, one.collection("points")._state.table
        lock, unlock = dialect.trainer_lock(points, 0), dialect.trainer_unlock(points)
        with one.connection.named_lock(lock, unlock) as is_ours:
            assert is_ours
            with other.connection.named_lock(lock, unlock) as is_theirs:
                assert not is_theirs


def _check_privileges(group, url):
    """A user who must not see the group is told what to grant."""
    name = re.search(r"test_\w+", url)[0]
    group.run_on_primary(
        "CREATE USER IF NOT EXISTS plain@'%' IDENTIFIED BY 'p,@:'",
        f"GRANT ALL ON {name}.* TO plain@'%'",
    )
    theirs = url.replace("root@", "plain:p%2C%40%3A@")
    with pytest.raises(lookalike.DatabaseError, match="GRANT SELECT ON performance_schema"):
        lookalike.connect(theirs)
    group.run_on_primary("GRANT SELECT ON performance_schema.* TO plain@'%'")
    with lookalike.connect(theirs) as db:
        assert db.collection("theirs", dim=2).upsert([[1, 0]]) == [1]


def _check_refusals(group, url, server):
    """Servers that are no cluster, and options that cannot be used."""
    with pytest.raises(ConnectionFailed, match="there is no database 'missing'"):
        lookalike.connect(group.url.replace("/lookalike", "/missing"))
    lost = "mysql://root@127.0.0.1:1,127.0.0.1:2/lookalike"
    with pytest.raises(ConnectionFailed, match=r"127\.0\.0\.1:1.*127\.0\.0\.1:2"):
        lookalike.connect(lost)
    with pytest.raises(UnsupportedServer, match="log_bin = 0"):
        lookalike.connect(
            f"mysql://root@{quote(str(server.socket), safe='')},127.0.0.1:1/lookalike"
        )
    port = group.primary.port
    twice = f"mysql://root@127.0.0.1:{port},localhost:{port}/lookalike"
    with pytest.raises(UnsupportedServer, match="addresses in the URL are those of one server"):
        lookalike.connect(twice)
    with pytest.raises(InputError, match="reads is 'all'; give nearest or primary"):
        lookalike.connect(url, reads="all")
    with pytest.raises(InputError, match="max_lag is '1'; give 3 seconds or more"):
        lookalike.connect(f"{url}?max_lag=1")
    with pytest.raises(InputError, match="the database URL names one server"):
        lookalike.connect("mysql://root@127.0.0.1/lookalike", read_your_writes=True)
