"""Rows that are taken out and put back: as they were, with all that belongs to them."""

import random

import numpy as np
import pytest

from lookalike import InputError
from lookalike.core.errors import DatabaseError
from tests.collection.albums import embeddings, make
from tests.removal.snapshots import snapshot

COLUMNS = {
    "ratio": ("FLOAT", "16777217 / (id + 2)"),
    "exact": ("DOUBLE", "1 / (id + 2)"),
    "cents": ("DECIMAL(12, 4)", "id / 7"),
    "seen": ("TIMESTAMP(6) NULL", "FROM_UNIXTIME(1700000000.123456 + id)"),
    "day": ("DATE", "'2024-02-29' + INTERVAL id DAY"),
    "span": ("TIME(3)", "SEC_TO_TIME(id * 1000.5)"),
    "flags": ("BIT(12)", "id"),
    "data": ("VARBINARY(40)", "UNHEX(SHA2(id, 256))"),
    "words": ("TEXT CHARACTER SET latin1", "CONCAT('é%s', id)"),
    "choice": ("ENUM('a', 'b')", "1 + id % 2"),
    "other": ("JSON", "JSON_OBJECT('a', JSON_ARRAY(id, 1.5, NULL, TRUE))"),
    "second": ("VECTOR(2)", "TO_VECTOR(CONCAT('[', id, ',0.1]'))"),
    "year_": ("YEAR", "2000 + id % 50"),
    "big": ("BIGINT UNSIGNED", "18446744073709551615 - id"),
}


@pytest.fixture
def album(db):
    """A collection with an index, with columns of many types, some rows of files and of facts."""
    album = make(db, "photos")
    added = ", ".join(f"ADD `{name}` {type_}" for name, (type_, _) in COLUMNS.items())
    computed = "ADD twice INT AS (cents * 2) STORED, ADD `odd ``name` INT DEFAULT 7"
    db.rows(f"ALTER TABLE photos {added}, {computed}")
    filled = ", ".join(f"`{name}` = {value}" for name, (_, value) in COLUMNS.items())
    db.rows(f"UPDATE photos SET {filled}")
    album.attributes.set([{"path": "photos 7", "note": "ä\n'\"%s", "n": 1e300, "list": ["x", "y"]}])
    db.rows(
        "INSERT INTO photos_files (id, path, content_hash, size, mtime_ns) SELECT id, "
        "CONCAT('/data/', id, '.jpg'), UNHEX(SHA2(id, 256)), id, 1700000000000000001 + id "
        "FROM photos WHERE id % 2 = 0"
    )
    table = album._state.table
    album._state.connection.execute(table.dialect.create_facts(table, "INT"))
    db.rows(
        "INSERT INTO photos_facts SELECT id, content_hash, path_hash, id % 4 = 0, "
        "JSON_OBJECT('width', id) FROM photos_files"
    )
    album.duplicates.mark_distinct(*range(2, 12))
    return album


def test_rows_are_back_as_they_were(db, album):
    before = snapshot(db)
    removed = album.take_out(1, "photos 3", 7, 8)
    assert removed.ids == (1, 4, 7, 8) and removed.failed == removed.files == ()
    assert [(each.id, each.image_name) for each in removed.records] == [
        (1, "photos 0"),
        (4, "photos 3"),
        (7, "photos 6"),
        (8, "photos 7"),
    ]
    assert [str(each.path) for each in removed.records if each.path] == [
        "/data/4.jpg",
        "/data/8.jpg",
    ]
    assert album.count() == 226 and album.index.check().is_consistent
    assert album.index.check().codes == 226
    assert db.rows("SELECT COUNT(*) FROM photos_files WHERE id IN (1, 4, 7, 8)")[1] == [(0,)]
    report = album.put_back(removed)
    assert report.restored == (1, 4, 7, 8) and report.failed == {}
    assert snapshot(db) == before
    assert album.index.check().is_consistent


def test_what_is_taken_out_is_not_found_and_then_again(album):
    query = embeddings(1)[6]
    assert album.search(query, k=1)[0].id == 7
    removed = album.take_out(7)
    assert 7 not in [match.id for match in album.search(query, k=229)]
    album.put_back(removed)
    assert album.search(query, k=1)[0].id == 7
    album.put_back(album.take_out(8))
    assert [match.id for match in album.search(query, where="list:y")] == [8]


def test_an_index_in_memory_follows(album):
    query = embeddings(1)[6]
    with album.hold_index() as held:
        assert held.wait(30)
        removed = album.take_out(7, 8)
        assert 7 not in [match.id for match in album.search(query, k=10)]
        album.put_back(removed)
        assert album.search(query, k=1)[0].id == 7
        assert "in memory" in album.explain(query).plan


def test_parts_are_put_back_in_any_order(db, album):
    """Decisions about two images too, of which each was in another part."""
    before, chance = snapshot(db), random.Random(5)
    ids = list(range(1, 231))
    chance.shuffle(ids)
    parts = [album.take_out(*ids[start : start + 30]) for start in range(0, 230, 30)]
    assert album.count() == 0
    chance.shuffle(parts)
    for part in parts:
        assert album.put_back(part).failed == {}
        assert album.index.check().is_consistent
    after = snapshot(db)
    stored = {name for name in before if not name.startswith("lookalike_")} - INDEX
    assert {name: after[name] for name in stored} == {name: before[name] for name in stored}


INDEX = {"photos_cells_1", "photos_codes_1"}
"""Trained anew when enough rows are back."""


def test_all_or_none(db, album):
    before = snapshot(db)
    removed = album.take_out(2, 4)
    between = snapshot(db)
    for table in ("photos_files", "photos_facts", "photos_codes_1", "photos_distinct"):
        at = f"INSERT INTO `{table}`", f"INSERT IGNORE INTO `{table}`"

        def fail(statement, at=at):
            if statement.sql.startswith(at):
                raise DatabaseError("the server is on fire")

        album._state.connection._tracer = fail
        with pytest.raises(DatabaseError, match="on fire"):
            album.put_back(removed)
        album._state.connection._tracer = None
        assert snapshot(db) == between, table
    assert album.put_back(removed).restored == (2, 4)
    assert snapshot(db) == before


def test_nothing_is_taken_out_where_one_is_not_stored(db, album):
    before = snapshot(db)
    with pytest.raises(InputError, match="no image with id 999"):
        album.take_out(1, 999)
    assert snapshot(db) == before


def test_what_is_in_the_way_is_told(db, album):
    removed = album.take_out(1, 2, 3, 4)
    album.upsert(embeddings(9)[:1], ids=[1])
    db.rows(
        "INSERT INTO photos_files (id, path, content_hash, size, mtime_ns) "
        "VALUES (5, '/data/4.jpg', REPEAT('x', 32), 1, 1)"
    )
    report = album.put_back(removed)
    assert report.restored == (2, 3)
    assert report.failed == {
        1: "its id is in use",
        4: "image 5 has its path now, /data/4.jpg",
    }
    assert album.index.check().is_consistent
    assert np.array_equal(album.get([1])[0].embedding, embeddings(9)[0])
    db.rows("DELETE FROM photos_files WHERE id = 5")
    again = album.put_back(removed)
    assert again.restored == (4,)
    assert again.failed == {1: "its id is in use", 2: "it is there", 3: "its id is in use"}


def test_an_attribute_that_was_dropped_meanwhile_is_known_again(album):
    removed = album.take_out(8)
    assert album.attributes.drop("note") == 0
    album.put_back(removed)
    assert [each.value for each in album.attributes.counts("note")] == ["ä\n'\"%s"]
    assert album.attributes.drop("note") == 1


def test_columns_that_came_and_went_meanwhile(db, album):
    removed = album.take_out(3)
    db.rows("ALTER TABLE photos DROP day, ADD colour VARCHAR(9) DEFAULT 'red'")
    assert album.put_back(removed).restored == (3,)
    assert db.rows("SELECT colour, exact FROM photos WHERE id = 3")[1] == [("red", 0.2)]


def test_rows_without_an_embedding(db, album):
    """As other programs may insert them."""
    db.rows("INSERT INTO photos (id, image_name) VALUES (900, NULL)")
    before = snapshot(db)["photos"]
    removed = album.take_out(900)
    assert removed.records[0].image_name == ""
    assert album.put_back(removed).restored == (900,)
    assert snapshot(db)["photos"] == before


def test_only_its_own_collection_takes_images_back(db, album):
    other = make(db, "others", 2)
    removed = album.take_out(1)
    with pytest.raises(InputError, match="taken out of 'photos', not of 'others'"):
        other.put_back(removed)


def test_embeddings_of_another_length_are_refused(db):
    old = db.collection("own", dim=2)
    old.upsert([[1, 2], [2, 1]])
    removed = old.take_out(1)
    db.delete_collection("own")
    new = db.collection("own", dim=3)
    new.upsert([[1, 2, 3]])
    with pytest.raises(InputError, match="another model"):
        new.put_back(removed)


def test_nothing_is_taken_out_of_a_table_of_ones_own(db):
    db.rows("CREATE TABLE shoes (id INT PRIMARY KEY, vector VECTOR(2))")
    shoes = db.table("shoes")
    for call in (shoes.take_out, shoes.trash):
        with pytest.raises(InputError, match="only reads"):
            call(1)
