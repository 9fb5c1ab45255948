"""Collections are renamed whole, and nothing else is touched."""

import contextlib
import threading
import time

import pytest

import lookalike
from lookalike import DatabaseError, InputError
from lookalike.dialects import OF_ONE_NAME
from tests.collection.albums import (
    OWN,
    N,
    assert_works,
    embeddings,
    everything,
    make,
    of_others,
)


def kept_by_renaming(db):
    """Everything but the versions of the codes: copies of an index are loaded by the new name."""
    return {name: rows for name, rows in everything(db).items() if name not in OF_ONE_NAME}


@pytest.mark.nightly
def test_a_renaming_killed_at_any_step_is_finished_by_the_same(db, album, killed):
    before = kept_by_renaming(db)
    names = "photos", "pics"
    # Eighteen changes note the new name, one renames, two comment, eighteen forget the old name.
    for step in (0, 17, 18, 19, 20, 21, 38):
        assert killed(step, "rename_collection", *names)
        there = set(db.collections()) & set(names)
        assert there == {names[step > 18]}
        whole = db.collection(there.pop())
        assert (
            whole.count() == N
            and whole.index.check().is_consistent
            and whole.threshold.get() == 0.75
        )
        db.rename_collection(*names)
        assert set(db.collections()) == {names[1], "photos2"}
        names = names[::-1]
    assert not killed(39, "rename_collection", "pics", "photos")
    assert kept_by_renaming(db) == before
    assert_works(db, "photos")


def test_a_renaming_killed_half_way_can_be_followed_by_a_deletion(db, album, killed):
    kept = of_others(everything(db), "photos")
    assert killed(19, "rename_collection", "photos", "pics")
    assert db.collections() == ["photos2", "pics"]
    db.delete_collection("pics")
    db.delete_collection("photos")
    assert everything(db) == kept


def test_a_renamed_collection_works_and_its_old_name_is_free(db, album):
    before = kept_by_renaming(db)
    renamed = db.rename_collection("photos", "pics")
    assert (renamed.name, renamed.count(), renamed.model_id) == ("pics", N, None)
    assert_works(db, "pics")
    make(db, "photos")
    assert_works(db, "photos")
    db.delete_collection("pics")
    db.delete_collection("photos")
    assert kept_by_renaming(db) == of_others(before, "photos")


def test_a_writer_that_a_renaming_overtakes_loses_and_spoils_nothing(db, album, database_url):
    stored: list[int] = []

    def write() -> None:
        with lookalike.connect(database_url) as other:
            collection = other.collection("photos")
            with contextlib.suppress(DatabaseError):
                while True:
                    stored.extend(collection.add_embeddings(["w"] * 5, embeddings(3)[:5]))

    writer = threading.Thread(target=write)
    writer.start()
    while len(stored) < 20:
        time.sleep(0.01)
    renamed = db.rename_collection("photos", "pics")
    writer.join(30)
    assert not writer.is_alive()
    assert db.collections() == ["photos2", "pics"]
    rows = db.rows("SELECT id FROM pics WHERE image_name = 'w'")[1]
    assert {row[0] for row in rows} >= set(stored)  # the last may have been told no more
    renamed.add_embeddings(["after"], embeddings(4)[:1])
    report = renamed.index.check()
    assert report.is_consistent and report.codes == N + len(rows) + 1


TAKEN = (
    ("photos2", "a table 'photos2' exists already"),
    ("taken", "a table 'taken_phashes' exists already; give another name than 'taken'"),
    ("codes", "a table 'codes_codes_1' exists already"),
    ("lookalike_levels", "exists already"),
    ("photos", "'photos' already has this name"),
    ("2pics", "cannot be a collection's name"),
    ("a`b", "cannot be a collection's name"),
)


def test_a_name_that_cannot_be_had_is_refused_and_nothing_changes(db, album):
    db.rows("CREATE TABLE taken_phashes (id INT)")
    db.rows("CREATE TABLE codes_codes_1 (id INT)")
    before = everything(db)
    for new, reason in TAKEN:
        with pytest.raises(InputError, match=reason):
            db.rename_collection("photos", new)
    assert everything(db) == before


def test_an_own_table_that_was_only_indexed_is_renamed_with_its_index(db, killed):
    db.rows(f"CREATE TABLE own ({OWN})")
    for row in embeddings(1):
        db.rows("INSERT INTO own (embedding) VALUES (%s)", (row,))
    assert db.collection("own").index.build()
    assert killed(9, "rename_collection", "own", "mine")
    assert db.collections() == ["mine"]
    mine = db.rename_collection("own", "mine")
    assert mine.status().indexed == N and mine.index.check().is_consistent
    assert db.rows("SELECT DISTINCT collection FROM lookalike_indexes")[1] == [("mine",)]
    assert db.delete_collection("mine", keep_table=True).tables == ("mine_cells_1", "mine_codes_1")
