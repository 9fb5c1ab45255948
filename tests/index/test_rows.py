"""The index is kept equal to the table, whoever changes it."""

import numpy as np
import pytest

import lookalike
from lookalike import DatabaseError
from tests.index.clusters import DIM, SMALL, N, clustered, index_tables, names, plan, url_of

# Kept true.


def test_codes_come_and_go_with_their_rows(db, indexed, vectors):
    more = clustered(100, seed=9)
    ids = indexed.add_embeddings(names(100), more)
    assert indexed.search(more[3], k=1)[0].id == ids[3]
    indexed.remove_rows([*ids[:50], 1, 2])
    report = indexed.index.check()
    assert report.is_consistent and report.codes == report.rows == N + 100 - 52
    assert indexed.search(more[3], k=1)[0].id != ids[3]


def test_a_changed_image_changes_its_code(db, tmp_path, photos):
    class Grey:
        id, dim, has_text = "grey", 3, False

        def embed_images(self, images):
            return np.array([np.asarray(i).mean(axis=(0, 1)) + 1 for i in images], np.float32)

    from PIL import Image

    rng = np.random.default_rng(0)
    for i in range(300):
        Image.new("RGB", (2, 2), tuple(rng.integers(0, 256, 3))).save(tmp_path / f"{i}.png")
    colours = db.collection("colours", model=Grey())
    colours.add(tmp_path)
    assert plan(colours, 1) == "cells and codes"
    Image.new("RGB", (2, 2), (255, 0, 0)).save(tmp_path / "7.png")
    assert colours.add(tmp_path).updated == 1
    red = Image.new("RGB", (2, 2), (255, 0, 0))
    assert colours.search(red, k=1)[0].image_name == "7.png"
    assert colours.index.check().is_consistent


def test_a_rolled_back_change_leaves_no_code(db, indexed, monkeypatch):
    def fail(self, table, ids):
        return lookalike.Statement("SELECT 1 FROM no_such_table")

    monkeypatch.setattr(type(db.dialect), "delete_rows", fail)
    with pytest.raises(DatabaseError):
        indexed.remove_rows([1, 2, 3])
    assert indexed.index.check().is_consistent and indexed.index.check().codes == N


def test_rows_of_other_programs_are_found(db, indexed, vectors):
    new = clustered(1, seed=77)[0] * 3
    db.rows("INSERT INTO own (image_name, embedding) VALUES ('theirs', %s)", (new,))
    assert indexed.search(new, k=1)[0].image_name == "theirs"
    report = indexed.index.check()
    assert report.is_consistent and (report.rows, report.codes) == (N + 1, N)
    indexed.add_embeddings(["ours"], clustered(1, seed=78))  # takes care of theirs, too
    assert indexed.index.check().codes == N + 2
    assert indexed.search(new, k=1)[0].image_name == "theirs"


def test_rows_that_other_programs_delete_are_not_found(db, indexed, vectors):
    db.rows("DELETE FROM own WHERE id <= 2900")
    found = indexed.search(vectors[0], k=100)
    assert sorted(match.id for match in found) == list(range(2901, N + 1))
    assert len(indexed.index.check().stale) == 2900
    indexed.index.build()
    assert indexed.index.check().is_consistent


def test_an_embedding_that_another_program_changes_is_told(db, indexed):
    db.rows("UPDATE own SET embedding = %s WHERE id = 5", (clustered(1, seed=5)[0] * -1,))
    assert indexed.index.check().stale == (5,)


@pytest.mark.parametrize("harm", ["DROP TABLE {codes}", "TRUNCATE {codes}", "DROP TABLE {cells}"])
def test_an_index_spoilt_by_hand_gives_a_slower_right_answer(db, indexed, vectors, harm):
    cells, codes = index_tables(db)
    db.rows(harm.format(cells=cells, codes=codes))
    with lookalike.connect(url_of(db), index_sizes=SMALL) as other:
        for collection in (indexed, other.collection("own")):
            exact = collection.search(vectors[4], k=5, exact=True)
            assert collection.search(vectors[4], k=5) == exact
            assert plan(collection, vectors[4]) in ("exact", "cells and codes")
        fresh = other.collection("own")
        fresh.add_embeddings(["one more"], clustered(1, seed=3))
        assert fresh.index.check().is_consistent and fresh.index.check().codes == N + 1


@pytest.mark.parametrize(
    "harm",
    [
        "UPDATE lookalike_indexes SET seed = seed + 1",
        "UPDATE own_cells_1 SET centroid = REVERSE(centroid)",
        "UPDATE own_cells_1 SET centroid = 'x' WHERE cell = 1",
        "DELETE FROM own_cells_1",
    ],
)
def test_parameters_that_do_not_match_are_refused(db, indexed, vectors, harm):
    db.rows(harm)
    with lookalike.connect(url_of(db), index_sizes=SMALL) as other:
        with pytest.raises(DatabaseError, match="does not match its fingerprint.*index rebuild"):
            other.collection("own").search(vectors[0])
        assert other.collection("own").search(vectors[0], k=1, exact=True)[0].id == 1
        assert other.collection("own").index.build()
        assert other.collection("own").search(vectors[0], k=1)[0].id == 1


def test_a_dropped_collection_leaves_no_index_to_the_next(db, indexed):
    db.rows("DROP TABLE own_files, own")
    again = db.collection("own", dim=DIM)
    again.add_embeddings(["a"], clustered(1))
    assert [match.image_name for match in again.search(1, exclude_self=False)] == ["a"]
    assert again.index.check().is_consistent


def test_searching_a_collection_that_is_deleted_is_an_error(db, indexed, vectors):
    db.rows("DROP TABLE own_files, own")
    with pytest.raises(DatabaseError, match="own.*doesn't exist"):
        indexed.search(vectors[0])
