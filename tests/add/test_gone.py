"""Rows of files that are gone: what is pruned, and what is removed on request."""

import errno
import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from lookalike import InputError
from lookalike.images.walk import ImageWalk
from tests.add.paints import GREY, RED, stored
from tests.colours import TABLE, assert_stored, paint, paint_many

# Gone.


def test_pruning_keeps_to_the_folders_given_and_tells_first(db, colours, folder, notices):
    colours.add(folder)
    paint(folder / "deep/more.png", 0x13579B)
    for gone in ("red.png", "deep/grey.png", "far/white.png"):
        (folder / gone).unlink()
    paint(folder / "far/black.png", 0)
    assert colours.add(folder / "far", folder / "blue.png").removed == 0
    assert colours.add(folder / "blue.png", str(folder / "*.png"), prune=True).removed == 0
    assert colours.count() == 6 and not any("gone" in line for line in notices)
    assert colours.add(folder / "far", folder / "blue.png", prune=True).removed == 1
    assert notices[-1] == "Removing 1 image whose file is gone."
    assert colours.add(folder, prune=True).removed == 2
    assert notices[-1] == "Removing 2 images whose files are gone."
    assert_stored(db, folder)


def test_a_folder_that_is_gone_or_now_a_file_is_pruned(db, colours, folder):
    colours.add(folder)
    shutil.rmtree(folder / "deep")
    shutil.rmtree(folder / "far")
    (folder / "far").write_text("a file now")
    assert colours.add(folder, prune=True).removed == 2
    assert_stored(db, folder)


def vanish(folder):
    folder.rename(folder.with_name("elsewhere"))


def give_way(folder):
    vanish(folder)
    paint(folder / "new.png", RED)


@pytest.mark.parametrize("happen", [vanish, give_way])
def test_a_folder_that_goes_during_the_run_prunes_nothing(colours, folder, model, notices, happen):
    colours.add(folder)
    (folder / "red.png").unlink()
    paint(folder / "new.png", 0x123456)
    model.meanwhile = lambda: happen(folder)
    assert colours.add(folder, prune=True).removed == 0
    assert f"Pruning nothing: {folder} is not the folder that it was a moment ago." in notices
    assert colours.count() == 6


def test_a_folder_that_goes_before_the_run_prunes_nothing(colours, folder, notices, monkeypatch):
    usb = paint(folder.parent / "usb/1.png", 0x111111).parent
    colours.add(folder, usb)
    look, looks = ImageWalk.__init__, []

    def unplug(walk, *args, **kwargs):
        look(walk, *args, **kwargs)
        looks.append(1)
        shutil.rmtree(usb)

    monkeypatch.setattr(ImageWalk, "__init__", unplug)
    assert colours.add(folder, usb, prune=True).removed == 0
    assert looks == [1] and colours.count() == 6
    assert f"Pruning nothing: {usb} is not the folder that it was a moment ago." in notices


def test_what_is_stored_of_an_emptied_folder_is_kept(colours, folder, notices):
    colours.add(folder)
    (folder / "deep/grey.png").unlink()
    (folder / "far/white.png").unlink()
    (folder / "far/.keep").touch()
    assert colours.add(folder, prune=True).removed == 1
    assert any(f"Keeping the rows of {folder / 'deep'}, which is" in line for line in notices)
    shutil.rmtree(folder)
    folder.mkdir()
    with pytest.raises(InputError, match="no images in"):
        colours.add(folder, prune=True)
    other = paint(folder.parent / "other/1.png", GREY).parent
    assert colours.add(folder, other, prune=True).removed == 0
    assert colours.count() == 5


@pytest.mark.parametrize(
    ("module", "call", "code"),
    [(Path, "lstat", errno.ESTALE), (os, "scandir", errno.EACCES), (os, "scandir", errno.EIO)],
)
def test_where_a_folder_cannot_be_read_nothing_is_pruned(
    colours, folder, notices, monkeypatch, module, call, code
):
    colours.add(folder)
    (folder / "red.png").unlink()
    (folder / "deep/grey.png").unlink()
    refuse_in(folder / "deep", module, call, code, monkeypatch)
    assert colours.add(folder, prune=True).removed == 0 and colours.count() == 5
    (told,) = [line for line in notices if line.startswith("Pruning nothing: ")]
    assert str(folder / "deep") in told and os.strerror(code) in told


def test_rows_of_a_folder_without_permission_are_kept(colours, folder, monkeypatch):
    colours.add(folder)
    (folder / "red.png").unlink()
    (folder / "deep/grey.png").unlink()
    refuse_in(folder / "deep", Path, "lstat", errno.EACCES, monkeypatch)
    assert colours.add(folder, prune=True).removed == 1 and colours.count() == 4
    assert [match.image_name for match in colours.search("deep/grey.png", exclude_self=False)]


def refuse_in(folder, module, call, code, monkeypatch):
    """Let a call fail for a folder and what is in it."""
    real = getattr(module, call)

    def refuse(path):
        if folder in (Path(path), Path(path).parent):
            raise OSError(code, os.strerror(code))
        return real(path)

    monkeypatch.setattr(module, call, refuse)


def test_a_link_that_leads_nowhere_is_not_gone(colours, folder, tmp_path):
    target = paint(tmp_path / "target.png", GREY + 1)
    (folder / "link.png").symlink_to(target)
    colours.add(folder)
    target.unlink()
    assert colours.add(folder, prune=True).removed == 0 and colours.count() == 6
    (folder / "link.png").unlink()
    assert colours.add(folder, prune=True).removed == 1


# Removed.


def test_rows_are_removed_by_id_path_folder_and_name(db, colours, folder, tmp_path, monkeypatch):
    many = paint_many(folder / "many", 12)
    paint_many(folder / "many%", 2, first=20)
    colours.add(folder)
    ids = {path: row[0] for path, row in stored(db).items()}
    assert colours.status().indexed == 19
    monkeypatch.chdir(folder / "many")
    (tmp_path / "link").symlink_to(folder / "deep", target_is_directory=True)
    shutil.rmtree(folder / "far")
    steps = [
        ((ids[str(many[0])], str(ids[str(many[1])])), 2),
        ((str(many[2]), many[3]), 2),
        ((Path("00004.png"), "00005.png", "../many%/../many/00006.png"), 3),
        (("red.png", Path("../blue.png")), 2),
        ((folder / "far",), 1),
        ((tmp_path / "link",), 1),
        (("../many", Path(), many[7]), 5),
        (("..",), 3),
    ]
    left = 19
    for targets, removed in steps:
        assert colours.remove(*targets) == removed, targets
        left -= removed
        assert colours.count() == left and colours.index.check().is_consistent
        assert len(stored(db)) == left


def test_an_unknown_target_removes_nothing(db, colours, folder, monkeypatch):
    colours.add(folder)
    monkeypatch.chdir(folder / "far")  # which is what an empty path would mean
    texts = ("nowhere.png", "/nowhere", "77", "deep", "", "x" * 300)
    for unknown in (*texts, 77, Path("/nowhere"), Path("nowhere\udce9")):
        with pytest.raises(InputError, match="nowhere|77|deep|empty|xxx"):
            colours.remove("red.png", folder / "deep", unknown)
        assert_stored(db, folder)


def test_rows_without_files_are_removed_by_id_and_name(db, folder):
    db.rows(f"CREATE TABLE {TABLE} (id INT PRIMARY KEY, image_name TEXT, embedding VECTOR(3))")
    for i, name in enumerate(("a", "b", "c"), 1):
        db.rows(f"INSERT INTO {TABLE} VALUES (%s, %s, %s)", (i, name, np.ones(3)))
    colours = db.collection(TABLE)
    for unknown in (folder, "d", 4):
        with pytest.raises(InputError):
            colours.remove("a", unknown)
    assert colours.remove("a", 2) == 2 and colours.index.check().is_consistent
    assert db.rows(f"SELECT id FROM {TABLE}")[1] == [(3,)]
    assert db.rows("SHOW TABLES")[1] == [(TABLE,)]
