"""Collections are copied between servers, equal to the byte, whatever happens meanwhile."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack

import numpy as np
import pytest

import lookalike
from lookalike import Database, DatabaseError, IndexSizes, InputError
from lookalike.collection import copied_rows
from tests.collection.copies import DIM, N, contents, embeddings, fill, stored_embeddings
from tests.conftest import new_database

WAYS = ["mysql-mariadb", "mariadb-mysql", "mysql-mysql"]
UNINDEXED = IndexSizes(10**9, 10**9)

COPY_AND_DIE = """
import os, signal, sys
from lookalike import connect
from lookalike.collection import copied_rows

source, target, steps = sys.argv[1], sys.argv[2], int(sys.argv[3])
copied_rows.MAX_ROWS = 50

def note(statement):
    global steps
    if statement.sql.startswith(("CREATE", "DELETE", "INSERT", "REPLACE", "ALTER")):
        if not steps:
            os.kill(os.getpid(), signal.SIGKILL)
        steps -= 1

connect(source).copy_collection("photos", connect(target, tracer=note))
"""


@pytest.fixture
def database(request) -> Iterator:
    """Makes a new database on a server: its URL by the server's name."""
    with ExitStack() as stack:

        def make(server: str) -> str:
            private = request.getfixturevalue("server" if server == "mysql" else server)
            return stack.enter_context(new_database(private))

        yield make


@pytest.fixture
def ends(request, database) -> Iterator[tuple[Database, Database]]:
    """Two new, empty databases; the test's parameter names their servers."""
    one, other = request.param.split("-")
    with (
        lookalike.connect(database(one), index_sizes=UNINDEXED) as source,
        lookalike.connect(database(other), index_sizes=UNINDEXED) as target,
    ):
        yield source, target


def both_ways(function):
    return pytest.mark.parametrize("ends", WAYS[:2], indirect=True)(function)


@pytest.mark.parametrize("ends", WAYS, indirect=True)
def test_a_copy_and_the_copy_of_the_copy_are_equal_to_the_byte(ends, database, request):
    source, target = ends
    fill(source)
    before = contents(source)
    report = source.copy_collection("photos", target)
    assert (report.state, report.rows, report.copied, report.changed) == ("new", 228, 228, 0)
    assert contents(target) == before == contents(source)
    stored = stored_embeddings(target)
    assert sorted(stored) == [i for i in range(1, N) if i != 7]
    assert all(stored[i].tobytes() == embeddings()[i - 1].tobytes() for i in stored)
    server = request.node.callspec.params["ends"].split("-")[0]
    with lookalike.connect(database(server), index_sizes=UNINDEXED) as back:
        target.copy_collection("photos", back)
        assert contents(back) == before
        for table in ("photos", "photos_files", "photos_failures", "photos_facts"):
            definitions = [db.rows(f"SHOW CREATE TABLE {table}")[1] for db in (source, back)]
            assert definitions[0] == definitions[1]


@pytest.mark.parametrize(
    ("ends", "metric"),
    [("mysql-mariadb", "cosine"), ("mariadb-mysql", "euclidean"), ("mysql-mariadb", "dot")],
    indirect=["ends"],
)
def test_a_copy_is_searched_as_its_source(ends, metric):
    source, target = ends
    fill(source, metric=metric)
    source.copy_collection("photos", target)
    here, there = source.collection("photos"), target.collection("photos")
    assert there.metric == metric and there.threshold.get() == here.threshold.get()
    for row_id in (1, 50, 229):
        found, expected = (each.search(row_id, k=7) for each in (there, here))
        assert [match.id for match in found] == [match.id for match in expected]
        similarities = [[match.similarity for match in each] for each in (found, expected)]
        assert np.allclose(*similarities, atol=1e-6)
    assert [match.id for match in there.search(1, where={"brand": "acme"})] == [4]
    assert there.attributes.list() == here.attributes.list()
    assert there.failures() == here.failures()
    (made,) = there.add_embeddings(["new"], embeddings(2)[:1])
    assert made == N + 1  # the id of the source's last row, which was deleted, is not used again


@both_ways
def test_images_are_copied_with_their_model_and_are_known_there(ends, photos):
    source, target = ends
    here = source.collection("photos", model="efficientnet-lite2")
    here.add(photos / "cat.jpg", photos / "rocket.jpg", facts=True)
    source.copy_collection("photos", target)
    assert contents(target) == contents(source)
    there = target.collection("photos")
    assert there.model_id == here.model_id
    report = there.add(photos / "cat.jpg", photos / "rocket.jpg", facts=True)
    assert (report.unchanged, report.added, report.facts) == (2, 0, 0)
    assert there.status().last_run is not None


@both_ways
def test_an_empty_collection_is_copied(ends):
    source, target = ends
    fill(source).remove_rows(range(N + 1))
    source.rows("DELETE FROM photos_failures")
    report = source.copy_collection("photos", target)
    assert (report.rows, report.copied) == (0, 0)
    assert target.collection("photos").status().copy_of is None
    assert target.collection("photos").dim == DIM
    assert source.copy_collection("photos", target).state == "equal"


@both_ways
def test_ids_are_what_they_were_zero_and_negative_too(ends):
    source, target = ends
    kind = "VECTOR(2) NOT NULL"
    source.rows(
        "CREATE TABLE photos (id BIGINT PRIMARY KEY AUTO_INCREMENT, image_name VARCHAR(9), "
        f"embedding {kind})"
    )
    ids = [-(2**62), -1, 0, 5, 2**62]
    with source.session():
        source.rows("SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO'")
        for row_id in ids:
            row = (row_id, np.array([row_id % 7 - 3, 1], np.float32).tobytes())
            source.rows("INSERT INTO photos VALUES (%s, 'é', %s)", row)
    source.copy_collection("photos", target)
    assert stored_embeddings(target).keys() == set(ids)
    assert all(
        np.array_equal(vector, stored_embeddings(source)[i])
        for i, vector in stored_embeddings(target).items()
    )
    assert source.copy_collection("photos", target).state == "equal"


@pytest.mark.slow
@both_ways
def test_a_copy_that_was_killed_goes_on(ends, monkeypatch):
    source, target = ends
    fill(source)
    urls = [_url(source), _url(target)]
    monkeypatch.setattr(copied_rows, "MAX_ROWS", 50)
    # The table alone; two side tables; amid the first block; amid the fourth.
    for steps in (23, 28, 33, 45):
        code = [sys.executable, "-c", COPY_AND_DIE, *urls, str(steps)]
        assert subprocess.run(code, timeout=60).returncode == -9
        unfinished = target.collection("photos")
        assert unfinished.status().copy_of == f"photos in {source.connection.url.place}"
        with pytest.raises(InputError, match="'photos' is an unfinished copy of photos in .*: fin"):
            unfinished.add_embeddings(["a"], embeddings()[:1])
    with pytest.raises(InputError, match="'photos' is an unfinished copy of photos in "):
        unfinished.index.build()
    there = unfinished.count()
    assert there >= 50
    assert source.copy_collection("photos", target, dry_run=True).state == "unfinished"
    assert unfinished.count() == there
    report = source.copy_collection("photos", target)
    assert (report.state, report.rows, report.changed) == ("unfinished", 228, 0)
    assert report.copied <= N - there + 50  # what was there was not written again
    assert contents(target) == contents(source)
    assert unfinished.add_embeddings(["a"], embeddings()[:1]) == [N + 1]  # opened before, too


def _url(db: Database) -> str:
    url = db.connection.url
    return f"mysql://{url.user}@localhost/{url.database}?unix_socket={url.options['unix_socket']}"


CHANGES = (
    "UPDATE photos SET image_name = 'other' WHERE id = 3",
    "UPDATE photos SET embedding = (SELECT e FROM (SELECT embedding AS e FROM photos "
    "WHERE id = 1) AS one) WHERE id = 60",
    "UPDATE photos SET attributes = '{\"new\": 1}' WHERE id = 100",
    "DELETE FROM photos WHERE id IN (12, 229)",
    "INSERT INTO photos (id, image_name, embedding) SELECT 7, 'back', embedding FROM photos "
    "WHERE id = 1",
    # Two paths change places, from one block to another.
    "UPDATE photos_files SET path = 'x' WHERE id = 15",
    "UPDATE photos_files SET path = 'y' WHERE id = 55",
    "UPDATE photos_files SET path = '/pictures/55 🦊''\"\\\\ .jpg' WHERE id = 15",
    "UPDATE photos_files SET path = '/pictures/15 🦊''\"\\\\ .jpg' WHERE id = 55",
    "UPDATE photos_facts SET facts = '{\"width\": 1}' WHERE id = 20",
    "INSERT INTO photos_distinct VALUES (1, 2), (7, 8)",
    "DELETE FROM photos_failures WHERE path LIKE '/pictures/30%'",
    "DELETE FROM photos_phashes WHERE content_hash < REPEAT(CHAR(30), 32)",
    "UPDATE lookalike_thresholds SET min_similarity = 0.5",
)


@both_ways
def test_what_changes_in_the_source_meanwhile_is_copied_too(ends, monkeypatch):
    source, target = ends
    fill(source)
    monkeypatch.setattr(copied_rows, "MAX_ROWS", 20)
    left = list(CHANGES)

    def change(step: str, done: int, total: int) -> None:
        assert 0 <= done <= total
        if step == "Copying thumbnails":
            while left:
                source.rows(left.pop(0))

    report = source.copy_collection("photos", target, progress=change)
    assert not left
    assert report.rows == 227 and 0 < report.changed < 200
    assert contents(target) == contents(source)
    assert len(contents(target)["_distinct"]) == 51


def test_a_source_that_never_stops_is_told_and_the_copy_stays_unfinished(database):
    with (
        lookalike.connect(database("mysql")) as source,
        lookalike.connect(database("mysql")) as target,
    ):
        fill(source)
        changes = iter(range(10**6))

        def change(step: str, done: int, total: int) -> None:
            source.rows("UPDATE photos SET image_name = %s WHERE id = 1", (str(next(changes)),))

        with pytest.raises(DatabaseError, match="'photos' changes faster than it can be copied"):
            source.copy_collection("photos", target, progress=change)
        assert target.collection("photos").status().copy_of is not None
        source.copy_collection("photos", target)
        assert contents(target) == contents(source)


def test_indexes_are_made_in_the_copy(database):
    sizes = IndexSizes(200, 200)
    with (
        lookalike.connect(database("mysql"), index_sizes=sizes) as source,
        lookalike.connect(database("mariadb"), index_sizes=sizes) as other,
        lookalike.connect(database("mysql"), index_sizes=sizes) as same,
    ):
        fill(source).attributes.index("brand")
        assert source.copy_collection("photos", other).without_index == ("brand",)
        assert "VECTOR KEY" in other.rows("SHOW CREATE TABLE photos")[1][0][1]
        assert source.copy_collection("photos", same).without_index == ()
        assert "lookalike_text_brand" in same.rows("SHOW CREATE TABLE photos")[1][0][1]
        assert same.collection("photos").status().indexed == 228
        assert same.collection("photos").index.check().is_consistent
