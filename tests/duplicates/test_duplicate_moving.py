"""Duplicates moved to a folder: nothing there is replaced."""

import os
import tempfile
from pathlib import Path

import pytest

from lookalike import InputError
from lookalike.duplicates import remove
from tests.duplicates.cats import asdict_, names_in


def test_duplicates_are_moved_and_nothing_is_replaced(collection, folder, tmp_path):
    target = tmp_path / "moved"
    target.mkdir()
    (target / "cat.jpg").write_text("mine")
    groups = collection.duplicates.find()
    dry = collection.duplicates.delete(groups, move_to=target, dry_run=True, tier="near-duplicate")
    assert collection.count() == 6 and names_in(target) == ["cat.jpg"]
    done = collection.duplicates.delete(groups, move_to=target, tier="near-duplicate")
    assert {**asdict_(dry), "is_dry_run": False} == asdict_(done)
    assert (target / "cat.jpg").read_text() == "mine"
    assert names_in(target) == [
        *("cat-2.jpg", "cat-small.jpg", "cat-turned.png", "cat.jpg", "rocket-copy.jpg")
    ]
    assert sorted(p.name for p in folder.rglob("*.*")) == ["cat.jpg", "rocket.jpg"]
    assert collection.count() == 2 and collection.duplicates.find() == []
    assert collection.index.check().is_consistent
    assert done.size == sum(f.stat().st_size for f in target.iterdir()) - len("mine")


def test_a_file_that_goes_while_it_is_moved_leaves_nothing(
    collection, folder, tmp_path, monkeypatch
):
    groups = collection.duplicates.find()
    rename = remove.rename

    def vanish(path, target):
        path.unlink()
        rename(path, target)

    monkeypatch.setattr(remove, "rename", vanish)
    report = collection.duplicates.delete(groups, move_to=tmp_path / "moved", tier="near-duplicate")
    assert len(report.failed) == 4 and report.removed == ()
    assert list((tmp_path / "moved").iterdir()) == []


def test_a_file_that_cannot_leave_its_folder_is_not_copied(
    collection, folder, tmp_path, monkeypatch
):
    groups = collection.duplicates.find()
    unlink = Path.unlink

    def locked(path, *args, **kwargs):
        if path.is_relative_to(folder):
            raise PermissionError(13, "Permission denied")
        unlink(path, *args, **kwargs)

    monkeypatch.setattr(Path, "unlink", locked)
    report = collection.duplicates.delete(groups, move_to=tmp_path / "moved", tier="near-duplicate")
    assert len(report.failed) == 4 and collection.count() == 6
    assert list((tmp_path / "moved").iterdir()) == []


@pytest.fixture
def other_disk(tmp_path):
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        assert Path(name).stat().st_dev != tmp_path.stat().st_dev
        yield Path(name)


def test_duplicates_are_moved_to_another_disk(collection, folder, other_disk):
    groups = collection.duplicates.find()
    taken = folder / "cat-small.jpg"
    content, mode = taken.read_bytes(), 0o640
    taken.chmod(mode)
    os.utime(taken, ns=(10**18, 10**18 + 7))
    (other_disk / "mine").write_text("mine")
    for name in ("cat-turned.png", "cat-turned-2.png"):
        (other_disk / name).symlink_to("mine" if name[-5] == "2" else "nowhere")
    report = collection.duplicates.delete(groups, move_to=other_disk, tier="near-duplicate")
    assert report.failed == () and len(report.removed) == 4
    moved = other_disk / "cat-small.jpg"
    assert moved.read_bytes() == content
    assert (moved.stat().st_mode & 0o777, moved.stat().st_mtime_ns) == (mode, 10**18 + 7)
    assert (other_disk / "mine").read_text() == "mine" and not (other_disk / "nowhere").exists()
    assert (other_disk / "cat-turned-3.png").is_file()


def test_a_link_in_the_folder_is_a_name_that_is_taken(collection, folder, tmp_path):
    target, outside = tmp_path / "moved", tmp_path / "outside"
    target.mkdir()
    outside.mkdir()
    (outside / "precious.jpg").write_text("precious")
    links = {
        "cat-small.jpg": outside / "precious.jpg",
        "cat-turned.png": outside / "made.png",  # there is none
        "rocket-copy.jpg": outside,
    }
    for name, leads_to in links.items():
        (target / name).symlink_to(leads_to)
    groups = collection.duplicates.find()
    dry = collection.duplicates.delete(groups, move_to=target, dry_run=True, tier="near-duplicate")
    done = collection.duplicates.delete(groups, move_to=target, tier="near-duplicate")
    assert asdict_(dry) | {"is_dry_run": False} == asdict_(done)
    assert len(done.removed) == 4
    assert names_in(outside) == ["precious.jpg"]
    assert (outside / "precious.jpg").read_text() == "precious"
    for name, leads_to in links.items():
        assert (target / name).readlink() == leads_to
        assert not target.joinpath(name.replace(".", "-2.")).is_symlink()


def test_a_folder_that_is_replaced_by_a_link_meanwhile_gets_nothing(collection, folder, tmp_path):
    target, outside = tmp_path / "moved", tmp_path / "outside"
    outside.mkdir()
    (outside / "rocket-copy.jpg").write_text("mine")

    def swap(done, total):
        if done == 1:
            target.rename(tmp_path / "real")
            target.symlink_to(outside)

    groups = collection.duplicates.find()
    report = collection.duplicates.delete(
        groups, move_to=target, progress=swap, tier="near-duplicate"
    )
    assert names_in(outside) == ["rocket-copy.jpg"]
    assert (outside / "rocket-copy.jpg").read_text() == "mine"
    assert {failure.reason for failure in report.failed} == {
        f"{target} is not the folder any more that it was at the start"
    }
    left = {file.path for group in groups[1:] for file in group.duplicates}
    assert {failure.path for failure in report.failed} == left
    assert all(path.exists() for path in left)


def test_the_folder_may_be_a_link_of_the_users_own(collection, folder, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    report = collection.duplicates.delete(
        collection.duplicates.find(), move_to=tmp_path / "link", tier="near-duplicate"
    )
    assert len(report.removed) == 4 and len(names_in(tmp_path / "real")) == 4
    (tmp_path / "nowhere").symlink_to("gone")
    for dry_run in (True, False):
        with pytest.raises(InputError, match="cannot move files to .*/nowhere: "):
            collection.duplicates.delete([], move_to=tmp_path / "nowhere", dry_run=dry_run)
    assert not (tmp_path / "gone").exists()


def test_a_home_in_a_path_is_the_users(collection, folder, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    groups = collection.duplicates.find()
    report = collection.duplicates.delete(
        groups, move_to="~/moved", dry_run=True, tier="near-duplicate"
    )
    assert {file.moved_to.parent for file in report.removed} == {tmp_path / "moved"}
    assert collection.duplicates.report("~/page.html", groups) == tmp_path / "page.html"
    with pytest.raises(InputError, match="a path is empty"):
        collection.duplicates.delete(groups, move_to="")
