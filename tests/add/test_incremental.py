"""Adding again: what has changed since, and what is a copy."""

import os
import shutil

import numpy as np
import pytest

import lookalike
from lookalike.add import scanner
from tests.add.paints import GREY, RED, counts, stored
from tests.colours import FEW, TABLE, add_with, assert_stored, paint

# Renamed, moved, copied.


def test_renamed_moved_and_copied_files_are_not_embedded_again(db, colours, folder, model):
    colours.add(folder)
    (folder / "red.png").rename(folder / "crimson.png")
    (folder / "green.png").rename(folder / "deep" / "green.png")
    shutil.copy(folder / "blue.png", folder / "blue again.png")
    report = colours.add(folder)
    assert counts(report) == (0, 0, 1, 3, 0) and report.moved == 2 and model.count == 5
    for names in (["crimson.png"], ["deep/green.png"], ["blue again.png", "blue.png"]):
        for query in names:
            found = colours.search(query, k=len(names), exclude_self=False)
            assert sorted(match.image_name for match in found) == names
            assert [match.similarity for match in found] == pytest.approx([1] * len(names))
    assert counts(colours.add(folder, prune=True)) == (0, 0, 0, 6, 0)
    assert_stored(db, folder)


def test_copies_within_a_run_are_embedded_once(db, colours, tmp_path, model):
    rng = np.random.default_rng(0)
    for i, colour in enumerate(rng.permutation(np.repeat(np.arange(150), 3))):
        paint(tmp_path / f"{i:03}.png", colour * 7919 + 1)
    # Few files are scanned at a time, so that copies come at all distances.
    report = add_with(colours, tmp_path, batch_size=4, scan_files=20)
    assert model.count == 150
    assert (report.added, report.reused) == (150, 300)
    assert_stored(db, tmp_path)


def test_a_copy_of_an_image_whose_row_is_deleted_is_embedded(db, colours, folder, model):
    colours.add(folder)
    (folder / "red.png").rename(folder / "crimson.png")
    assert colours.remove("red.png") == 1
    assert counts(colours.add(folder)) == (1, 0, 0, 4, 0) and model.count == 6
    assert_stored(db, folder)


def test_only_what_is_asked_for_is_looked_at(db, colours, folder, model, notices):
    colours.add(folder)
    paint(folder / "deep/new.png", 0x123456)
    paint(folder / "red.png", 0x654321)
    (folder / "green.png").rename(folder / "far/green.png")
    (folder / "blue.png").unlink()
    wanted = [folder / "deep", folder / "far/green.png", folder / "green.png"]
    report = colours.add(folder, only=wanted)
    assert counts(report) == (1, 0, 0, 1, 0) and (report.moved, report.gone) == (1, 0)
    report = colours.add(folder, only=[folder / "blue.png"], prune=True)
    assert counts(report) == (0, 0, 0, 0, 1)
    assert counts(colours.add(folder, only=[folder / "nothing.png"])) == (0, 0, 0, 0, 0)
    assert counts(colours.add(folder, only=[folder])) == (0, 1, 0, 4, 0)
    assert_stored(db, folder)


def test_a_collection_is_not_made_of_nothing(db, colours, tmp_path):
    assert counts(colours.add(tmp_path, only=[tmp_path])) == (0, 0, 0, 0, 0)
    assert not colours.exists
    with pytest.raises(lookalike.InputError, match="no images in"):
        colours.add(tmp_path)


# Changed, touched.


def test_a_changed_file_is_embedded_and_a_touched_one_is_not(
    db, colours, folder, model, monkeypatch
):
    colours.add(folder)
    before = stored(db)
    paint(folder / "red.png", 0x123456)
    os.utime(folder / "green.png", ns=(1, 1))
    assert counts(colours.add(folder)) == (0, 1, 0, 4, 0) and model.count == 6
    assert_stored(db, folder)  # with the new times
    assert {path: row[0] for path, row in stored(db).items()} == {
        path: row[0] for path, row in before.items()
    }

    def refuse(path):
        raise AssertionError(f"{path} was read")

    monkeypatch.setattr(scanner, "content_hash", refuse)
    assert colours.add(folder).unchanged == 5


def test_a_file_that_takes_anothers_bytes_takes_its_embedding(db, colours, folder, model):
    colours.add(folder)
    shutil.copy(folder / "blue.png", folder / "red.png")
    assert counts(colours.add(folder)) == (0, 1, 0, 4, 0) and model.count == 5
    assert_stored(db, folder)


def test_a_touch_does_not_undo_another_runs_change(db, database_url, colours, folder, model):
    colours.add(folder)
    os.utime(folder / "red.png", ns=(1, 1))

    def change_first(statement):
        if "UPDATE" in statement.sql and "_files" in statement.sql and model.count == 5:
            paint(folder / "red.png", GREY + 1)
            colours.add(folder)

    with lookalike.connect(database_url, index_sizes=FEW, tracer=change_first) as other:
        other.collection(TABLE, model=model).add(folder)
    assert model.count == 6
    paint(folder / "red again.png", RED)
    colours.add(folder)
    assert_stored(db, folder)
