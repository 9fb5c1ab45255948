"""Files that go to the trash and come back: nothing is lost, nothing is replaced."""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from lookalike.core import trash as system
from lookalike.core.errors import DatabaseError
from tests.removal.snapshots import snapshot


def contents(folder):
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_files_and_rows_are_back_as_they_were(db, collection, folder, trash):
    rows, files = snapshot(db), contents(folder)
    removed = collection.trash(folder)
    assert contents(folder) == {} and collection.count() == 0 and removed.failed == ()
    assert {file.path for file in removed.files} == {folder / name for name in files}
    assert all(file.moved_to.parent == trash / "files" for file in removed.files)
    assert len(list((trash / "info").iterdir())) == 5
    shutil.rmtree(folder)
    report = collection.put_back(removed)
    assert len(report.restored) == 5 and report.failed == {}
    assert contents(folder) == files
    assert snapshot(db) == rows
    assert not list((trash / "info").iterdir()) and not list((trash / "files").iterdir())
    told = collection.add(folder, facts=True)
    assert (told.unchanged, told.added, told.facts) == (5, 0, 0)


def test_one_of_several_of_one_name(collection, folder):
    first = collection.trash(folder / "cat.jpg")
    second = collection.trash(folder / "deep/cat.jpg")
    expected = {file.path: file.moved_to for each in (first, second) for file in each.files}
    assert len({*expected.values()}) == 2
    for path, moved_to in expected.items():
        assert system.find_in_trash(path) == [moved_to]
    assert collection.put_back(first).failed == {}
    assert (folder / "cat.jpg").exists() and not (folder / "deep/cat.jpg").exists()
    assert collection.put_back(second).failed == {}


def test_the_version_that_was_stored_comes_back(collection, folder):
    """Of a path that was moved to the trash again later, with other bytes."""
    path = folder / "bee.jpg"
    removed = collection.trash(path)
    path.write_text("other bytes")
    system.send_to_trash(path)
    assert len(system.find_in_trash(path)) == 2
    assert collection.put_back(removed).failed == {}
    assert path.stat().st_size > 1000 and len(system.find_in_trash(path)) == 1


def test_a_file_that_somebody_moved_within_the_trash_is_found(collection, folder, trash):
    """As the trash's own program does, or gio, which numbers names otherwise."""
    removed = collection.trash(folder / "bee.jpg")
    for part, name in (("files", "bee.2.jpg"), ("info", "bee.2.jpg.trashinfo")):
        (old,) = (trash / part).iterdir()
        old.rename(trash / part / name)
    assert collection.put_back(removed).failed == {}
    assert (folder / "bee.jpg").exists() and not list((trash / "info").iterdir())


def test_a_file_that_the_user_has_put_back_is_left(collection, folder):
    removed = collection.trash(folder / "bee.jpg")
    shutil.move(removed.files[0].moved_to, folder / "bee.jpg")
    assert collection.put_back(removed).failed == {}


@pytest.mark.parametrize("what", ["file", "link", "folder"])
def test_nothing_is_replaced(db, collection, folder, what):
    path = folder / "bee.jpg"
    (row_id,) = (each.id for each in collection.find(path))
    removed = collection.trash(path)
    if what == "file":
        path.write_text("mine")
    elif what == "link":
        path.symlink_to(folder / "nowhere")
    else:
        path.mkdir()
    report = collection.put_back(removed)
    assert report.restored == ()
    assert report.failed == {row_id: f"something else is at {path} now"}
    assert removed.files[0].moved_to.exists() and collection.count() == 4
    if what == "file":
        assert path.read_text() == "mine"


def test_a_file_that_is_not_in_the_trash_any_more_has_no_row(collection, folder, trash):
    removed = collection.trash(folder)
    (lost,) = (file for file in removed.files if file.path.name == "bee.jpg")
    lost.moved_to.unlink()
    report = collection.put_back(removed)
    assert report.failed == {lost.id: f"its file is not in the trash any more: {lost.path}"}
    assert collection.count() == 4


@pytest.mark.parametrize("harm", ["gone", "changed", "link", "no trash"])
def test_a_file_that_cannot_go_stays_with_its_row(collection, folder, harm, monkeypatch, trash):
    path = folder / "bee.jpg"
    if harm == "gone":
        path.unlink()
    elif harm == "changed":
        path.write_bytes(path.read_bytes() + b"!")
    elif harm == "link":
        path.rename(folder / "moved.jpg")
        path.symlink_to(folder / "moved.jpg")
    else:
        trash.parent.mkdir()
        trash.write_text("no folder")
    removed = collection.trash(path)
    reasons = {
        "gone": "No such file or directory",
        "changed": "it has changed since it was added; add it again",
        "link": "it is a link to another file",
        "no trash": "Not a directory",
    }
    assert [(each.path, each.reason) for each in removed.failed] == [(path, reasons[harm])]
    assert removed.ids == () and removed.files == () and collection.count() == 5


def test_images_without_a_file_stay(collection, embedded_model):
    (row_id,) = collection.upsert([[1.0] * embedded_model.dim], names=["mine"])
    removed = collection.trash(row_id)
    assert removed.without_file == (row_id,) and collection.count() == 6


def test_files_are_back_where_rows_cannot_be_deleted(db, collection, folder, trash):
    rows, files = snapshot(db), contents(folder)

    def fail(statement):
        if statement.sql.startswith("DELETE FROM `photos`"):
            raise DatabaseError("the server is on fire")

    collection._state.connection._tracer = fail
    with pytest.raises(DatabaseError, match="on fire"):
        collection.trash(folder)
    collection._state.connection._tracer = None
    assert contents(folder) == files and snapshot(db) == rows
    assert not list((trash / "files").iterdir())


def test_where_rows_cannot_be_put_back_nothing_is_lost(db, collection, folder):
    files, before = contents(folder), snapshot(db)
    removed = collection.trash(folder)

    def fail(statement):
        if statement.sql.startswith("INSERT INTO `photos_files`"):
            raise DatabaseError("the server is on fire")

    collection._state.connection._tracer = fail
    with pytest.raises(DatabaseError, match="on fire"):
        collection.put_back(removed)
    collection._state.connection._tracer = None
    assert contents(folder) == files and collection.count() == 0
    assert collection.put_back(removed).failed == {}
    assert snapshot(db) == before


def test_files_on_another_disk_have_a_trash_there(db, embedded_model, photos):
    top = Path("/dev/shm")
    own = top / f".Trash-{os.getuid()}"
    was_there = own.exists()
    with tempfile.TemporaryDirectory(dir=top) as name:
        file = Path(name).resolve() / "bee.jpg"
        shutil.copy(photos / "bee.jpg", file)
        collection = db.collection("photos", model=embedded_model)
        collection.add(file)
        removed = collection.trash(file)
        assert removed.files[0].moved_to.parent == own / "files" and not file.exists()
        assert collection.put_back(removed).failed == {} and file.exists()
    if not was_there:
        shutil.rmtree(own)


# Duplicates.


@pytest.fixture
def copied(collection, folder):
    shutil.copy2(folder / "bee.jpg", folder / "copy.jpg")
    collection.add(folder, facts=True)
    return collection


def test_duplicates_are_put_back(db, copied, folder):
    groups = copied.duplicates.find(tier="identical")
    before, files = snapshot(db), contents(folder)
    report = copied.duplicates.delete(groups)
    assert len(report.removed) == 1 and copied.count() == 5
    assert report.removed[0].moved_to.exists()
    assert copied.put_back(report.taken).restored == (report.removed[0].id,)
    assert snapshot(db) == before and contents(folder) == files


def test_duplicates_are_moved_back(db, copied, folder, tmp_path):
    groups = copied.duplicates.find(tier="identical")
    before, files = snapshot(db), contents(folder)
    report = copied.duplicates.delete(groups, move_to=tmp_path / "files")
    assert copied.put_back(report.taken).failed == {}
    assert snapshot(db) == before and contents(folder) == files
    assert list((tmp_path / "files").iterdir()) == []


@pytest.mark.parametrize("options", [{"permanently": True}, {"dry_run": True}, {"undo": False}])
def test_what_cannot_be_undone_is_not_kept(copied, options):
    groups = copied.duplicates.find(tier="identical")
    assert copied.duplicates.delete(groups, **options).taken is None
