"""Servers that take small packets only: statements are cut to what they take."""

from collections.abc import Iterator

import numpy as np
import pytest

import lookalike
from lookalike import ConnectionFailed, DatabaseError, InputError
from tests.mortal_server import MortalServer
from tests.own_server import own_server

PACKET = 2**16
"""The smallest max_allowed_packet that is taken, in bytes."""


@pytest.fixture(scope="module")
def small(installed_mysqld) -> Iterator[MortalServer]:
    with own_server(installed_mysqld, f"--max-allowed-packet={PACKET}") as server:
        yield server


@pytest.fixture
def url(small: MortalServer) -> str:
    return small.new_database()


def embeddings(n: int, dim: int) -> np.ndarray:
    return np.random.default_rng(3).standard_normal((n, dim)).astype(np.float32)


def stored(db, table: str) -> list[tuple[int, str, bytes]]:
    query = f"SELECT id, image_name, CAST(embedding AS BINARY) FROM {table} ORDER BY id"
    return db.rows(query)[1]


def test_embeddings_are_cut_to_the_packet(small, url):
    vectors = embeddings(190, 1024)  # 0.8 MB, and 12 times the packet
    with lookalike.connect(url) as db:
        ids = db.collection("large", dim=1024).add_embeddings(
            [f"ü'{i}" for i in range(190)], vectors
        )
        assert stored(db, "large") == [
            (row_id, f"ü'{i}", vectors[i].tobytes()) for i, row_id in enumerate(ids)
        ]
        with pytest.raises(InputError), db.connection.transaction():
            raise InputError("the connection is as good as before")


def test_ids_follow_the_servers_step(small, url):
    small.run("SET GLOBAL auto_increment_increment = 5")
    try:
        with lookalike.connect(url) as db:
            steps = db.collection("steps", dim=1024)
            ids = steps.add_embeddings(["a"] * 30, vectors := embeddings(30, 1024))
            assert [row[2] for row in stored(db, "steps")] == [v.tobytes() for v in vectors]
            assert [row[0] for row in stored(db, "steps")] == ids
    finally:
        small.run("SET GLOBAL auto_increment_increment = 1")


def test_images_with_long_paths(url, tmp_path, photos):
    """Their paths alone are several packets."""
    folder = tmp_path.joinpath(*["ö" * 120] * 8)
    folder.mkdir(parents=True)
    for i in range(60):
        (folder / f"{i:02}.jpg").write_bytes((photos / "cat.jpg").read_bytes())
        (folder / f"bad {i:02}.jpg").write_text("no image")
    with lookalike.connect(url) as db:
        images = db.collection("images")
        report = images.add(tmp_path)
        assert (report.added + report.reused, len(report.failed)) == (60, 60)
        again = images.add(tmp_path)
        assert (again.unchanged, len(again.failed_before)) == (60, 60)
        assert len(images.records(range(1, 61))) == 60
        rows = [{"path": str(folder / f"{i:02}.jpg"), "note": "'" * 2000} for i in range(60)]
        assert images.attributes.set(rows).stored == 60
        assert db.rows("SELECT COUNT(*) FROM images WHERE LENGTH(attributes->>'$.note') = 2000")[
            1
        ] == [(60,)]
        for file in folder.iterdir():
            file.unlink()
        (folder / "other.jpg").write_bytes((photos / "bee.jpg").read_bytes())
        assert images.add(tmp_path, prune=True).removed == 60
        assert images.failures() == []


def test_one_row_that_does_not_fit_is_named(url):
    rows = [{"path": "a", "note": "short"}, {"path": "b", "note": "x" * PACKET}]
    with lookalike.connect(url) as db:
        noted = db.collection("noted", dim=2)
        noted.add_embeddings(["a", "b"], np.eye(2))
        with pytest.raises(DatabaseError, match=r"row 2: .*max_allowed_packet") as caught:
            noted.attributes.set(rows)
        assert "\n" not in str(caught.value) and "running there" not in str(caught.value)
        assert db.rows("SELECT attributes FROM noted")[1] == [(None,), (None,)]


def test_a_statement_too_large_is_told_and_costs_nothing(url):
    with lookalike.connect(url) as db:
        (own,) = db.rows("SELECT CONNECTION_ID()")[1]
        longest = PACKET - 2 - len("SELECT ''")
        assert db.rows(f"SELECT '{'x' * longest}'")[1] == [("x" * longest,)]
        for text in ("x" * (longest + 1), "ü" * (longest // 2 + 1)):
            with pytest.raises(DatabaseError, match="max_allowed_packet") as caught:
                db.rows(f"SELECT '{text}'")
            assert not isinstance(caught.value, ConnectionFailed)
            assert "running there" not in str(caught.value) and len(str(caught.value)) < 300
        assert db.rows("SELECT CONNECTION_ID()")[1] == [own]


@pytest.mark.parametrize("text", ["9" * 5000, "9" * 21, "²" * 5, "x" * 5000])
def test_what_is_no_id_is_told(db, text):
    own = db.collection("own", dim=2)
    own.add_embeddings(["a", "b"], np.eye(2))
    for ask in (own.search, own.remove, lambda name: own.search(-lookalike.Query(name))):
        with pytest.raises(InputError) as caught:
            ask(text)
        assert len(str(caught.value)) < 400 and "\n" not in str(caught.value)


def test_too_small_a_packet_is_refused(small, url):
    small.run(f"SET GLOBAL max_allowed_packet = {PACKET // 2}")
    try:
        with pytest.raises(ConnectionFailed, match="max_allowed_packet = 32768, too little"):
            lookalike.connect(url)
    finally:
        small.run(f"SET GLOBAL max_allowed_packet = {PACKET}")


def test_a_search_of_more_cells_than_a_packet_holds_is_exact(url):
    vectors = embeddings(5200, 512)  # noise: nearly all 288 cells have to be read
    with lookalike.connect(url) as db:
        own = db.collection("own", dim=512)
        ids = own.add_embeddings(["v"] * len(vectors), vectors)
        query = vectors[7] + vectors[8]
        found = own.search(query, k=3, n_probes=288)
        lengths = np.linalg.norm(vectors.astype(float), axis=1)
        best = np.argsort(-(vectors.astype(float) @ query) / lengths)[:3]
        assert [match.id for match in found] == [ids[i] for i in best]
