"""Storing in spread collections, and taking out again: on the shards and on the head."""

import numpy as np
import pytest

import lookalike
from lookalike.index import kinds
from tests.colours import Colours, paint, paint_many
from tests.shards.conftest import SHARDS


@pytest.fixture
def shapes(db):
    return db.collection("shapes", dim=4, shards=SHARDS)


@pytest.fixture
def colours(db):
    return db.collection("colours", model=Colours(), shards=SHARDS)


def vectors(n: int) -> np.ndarray:
    return np.random.default_rng(n).normal(size=(n, 4)).astype(np.float32)


def count(db, table: str) -> int:
    return db.rows(f"SELECT COUNT(*) FROM {table}")[1][0][0]


def assert_whole(db, name: str) -> None:
    """Each file has its row, and nothing is unsettled."""
    ids = {row[0] for row in db.rows(f"SELECT id FROM {name}")[1]}
    assert {row[0] for row in db.rows(f"SELECT id FROM {name}_files")[1]} == ids
    assert count(db, f"{name}_unsettled") == 0


def test_ids_are_consecutive_and_never_used_again(db, shapes):
    assert shapes.upsert(vectors(5)) == [1, 2, 3, 4, 5]
    assert shapes.upsert(vectors(2), ids=[3, 40]) == [3, 40]
    assert shapes.upsert(vectors(3)) == [41, 42, 43]
    assert shapes.remove_rows([43, 42, 1, 999]) == 3
    assert shapes.upsert(vectors(1)) == [44]
    assert [item.id for item in shapes.get(range(1, 50))] == [2, 3, 4, 5, 40, 41, 44]
    assert count(db, "shapes_unsettled") == 0


def test_embeddings_come_back_bit_by_bit(shapes):
    given = vectors(50)
    ids = shapes.upsert(given, names=[f"'é{i}\\" for i in range(50)])
    items = shapes.get(ids, include=["embedding"])
    assert np.array_equal([item.embedding for item in items], given)
    assert [item.image_name for item in items] == [f"'é{i}\\" for i in range(50)]
    shapes.upsert(given[:1], ids=[7])
    (item,) = shapes.get([7], include=["embedding"])
    assert np.array_equal(item.embedding, given[0]) and item.image_name == "'é6\\"


def test_attributes_are_set_changed_and_dropped(shapes):
    shapes.upsert(vectors(3), attributes=[{"a": 1, "b": "x"}, {"a": ["1", "é"]}, {}])
    shapes.attributes.update({1: {"a": None, "c": True}, 3: {"b": "ü"}})
    assert shapes.attributes.get([1, 2, 3]) == {
        1: {"b": "x", "c": True},
        2: {"a": ["1", "é"]},
        3: {"b": "ü"},
    }
    assert shapes.attributes.drop("b") == 2
    assert shapes.attributes.get([1, 2, 3]) == {1: {"c": True}, 2: {"a": ["1", "é"]}, 3: {}}


def test_folders_are_added_again_and_taken_out(db, colours, tmp_path):
    paint_many(tmp_path / "a", 30)
    assert colours.add(tmp_path).added == 30
    assert_whole(db, "colours")
    (tmp_path / "a/00003.png").unlink()
    (tmp_path / "a/00004.png").rename(tmp_path / "moved.png")
    paint(tmp_path / "a/00005.png", 0x123456)
    report = colours.add(tmp_path, prune=True, facts=True)
    assert (report.added, report.updated, report.moved, report.removed) == (0, 1, 1, 1)
    assert count(db, "colours_facts") == 29
    colours.duplicates.mark_distinct(1, 2)
    assert colours.remove(tmp_path / "a/00000.png", tmp_path / "a/00001.png") == 2
    assert_whole(db, "colours")
    assert (count(db, "colours_facts"), count(db, "colours_distinct")) == (27, 0)
    assert colours.search(tmp_path / "moved.png", k=1)[0].path == tmp_path / "moved.png"


def test_what_is_taken_out_is_put_back_with_its_id(db, colours, tmp_path):
    paint_many(tmp_path, 8)
    colours.add(tmp_path)
    colours.attributes.update({3: {"price": 5}})
    taken = colours.take_out("00002.png", "00006.png")
    assert count(db, "colours") == 6
    assert_whole(db, "colours")
    assert len(colours.put_back(taken).restored) == 2
    assert_whole(db, "colours")
    assert colours.attributes.get([3]) == {3: {"price": 5}}


def test_what_nobody_finishes_is_settled_before_the_next_change(db, colours, tmp_path):
    paint_many(tmp_path, 9)
    colours.add(tmp_path)
    # As a head leaves it that was killed while it committed the removal of 2 and 4, and the
    # insertion of 20 and 21: one shard was done each time.
    db.rows("INSERT INTO colours_unsettled VALUES (2), (4), (20), (21)")
    db.rows("DELETE FROM colours WHERE id = 2")
    db.rows("INSERT INTO colours (id, embedding) SELECT 20, embedding FROM colours WHERE id = 1")
    assert colours.remove("00008.png") == 1
    ids = [row[0] for row in db.rows("SELECT id FROM colours ORDER BY id")[1]]
    assert ids == [1, 3, 5, 6, 7, 8]
    assert_whole(db, "colours")
    assert colours.add(tmp_path).added == 3
    assert_whole(db, "colours")


def test_adding_waits_for_a_shard_and_loses_nothing(servers, db, tmp_path):
    images = paint_many(tmp_path, 60)

    def lose() -> None:
        if not lost:
            lost.append(servers.shards["shard1"].kill())
            servers.shards["shard1"].launch()

    lost: list[None] = []
    model = Colours(meanwhile=lose)
    report = db.collection("colours", model=model, shards=SHARDS).add(tmp_path, batch_size=20)
    assert lost and report.added == len(images)
    assert_whole(db, "colours")
    servers.shards["shard1"].wait()


def test_a_copy_is_a_collection_of_one_server(db, shapes, mariadb):
    given = vectors(20)
    ids = shapes.upsert(given, attributes=[{"n": i} for i in range(20)])
    with lookalike.connect(mariadb.url) as there:
        try:
            shapes_there = db.copy_collection("shapes", there)
            assert shapes_there.rows == 20
            copied = there.collection("shapes").get(ids, include=["embedding", "attributes"])
            assert np.array_equal([item.embedding for item in copied], given)
            assert [item.attributes for item in copied] == [{"n": i} for i in range(20)]
        finally:
            there.delete_collection("shapes")


def test_what_shards_cannot_do_is_refused(servers, db, shapes):
    shapes.upsert(vectors(3), attributes=[{"a": 1}] * 3)
    for refused, why in (
        (lambda: db.rename_collection("shapes", "forms"), "cannot be renamed"),
        (lambda: db.collection("shapes", shards=SHARDS[:2]), "spread over shard1, shard2, shard3"),
        (lambda: shapes.index.build(kind="lookalike"), "indexes of their own"),
        (lambda: shapes.attributes.index("a"), "no indexes"),
        (lambda: db.collection("x", dim=2, metric="dot", shards=SHARDS), "cosine or euclidean"),
        (lambda: db.collection("x", dim=2, shards=["shard1"]), "two shards or more"),
        (lambda: db.collection("x", dim=2, shards=["a'b", "c"]), "not the name of a server"),
        (lambda: new(db, "x", ["shard1", "nowhere"]), "nowhere"),
    ):
        with pytest.raises(lookalike.LookalikeError, match=why):
            refused()
    with lookalike.connect(servers.url.replace("/head/", "/shard1/")) as shard:
        shard.rows("CREATE TABLE theirs (id INT)")
        with pytest.raises(lookalike.InputError, match="shard1 has a table 'theirs' already"):
            new(db, "theirs", SHARDS)
        shard.rows("DROP TABLE theirs")
        with pytest.raises(lookalike.InputError, match="has no Spider"):
            new(shard, "x", SHARDS)


def new(db, name: str, shards: list[str]) -> None:
    db.collection(name, dim=2, shards=shards).upsert([[1, 0]])


def test_deletion_drops_the_tables_of_all_shards(servers, db, shapes):
    shapes.upsert(vectors(3))
    removal = db.delete_collection("shapes")
    assert removal.rows == 3 and "shapes" not in db.collections()
    for name in SHARDS:
        with lookalike.connect(servers.url.replace("/head/", f"/{name}/")) as shard:
            assert shard.rows("SHOW TABLES")[1] == []
    assert db.rows("SHOW TABLES LIKE 'shapes%%'")[1] == []
    assert db.collection("shapes", dim=3, shards=SHARDS).upsert([[1, 0, 0]]) == [1]


def test_lookalikes_own_index_is_borrowed_for_duplicates(shapes):
    shapes.upsert(vectors(400))
    state = shapes._state
    with kinds.ours(state.index, state.train):  # as `duplicates` of more than 20,000 images does
        state.index.advance_tail([])
        assert state.index.size()[0] == 400
        assert shapes.search(3, k=1, exclude_self=False)[0].id == 3
    assert shapes.index.status().kind == "server"
