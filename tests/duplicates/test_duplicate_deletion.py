"""Duplicates deleted with their files: only where the image to keep is safe."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from lookalike.duplicates import remove
from tests.duplicates.cats import CATS, by_name


def test_files_are_deleted_permanently_when_asked(collection, folder):
    report = collection.duplicates.delete(
        collection.duplicates.find(), permanently=True, tier="near-duplicate"
    )
    assert {file.path for file in report.removed} == {
        *(folder / name for name in ("deep/cat.jpg", "cat-small.jpg", "cat-turned.png")),
        folder / "rocket-copy.jpg",
    }
    assert sorted(p.name for p in folder.rglob("*.*")) == ["cat.jpg", "rocket.jpg"]


def test_only_the_same_bytes_are_deleted_by_default(collection, folder):
    report = collection.duplicates.delete(collection.duplicates.find(), permanently=True)
    assert {file.path for file in report.removed} == {
        folder / "deep/cat.jpg",
        folder / "rocket-copy.jpg",
    }


def test_looser_tiers_stay(collection, folder, photos):
    shutil.copy(photos / "cat-crop.jpg", folder)  # about half of it
    collection.add(folder)

    def removed(tier):
        groups = collection.duplicates.find()
        report = collection.duplicates.delete(groups, tier=tier, permanently=True)
        return {file.path.name for file in report.removed}

    assert by_name(collection.duplicates.find(), folder)["cat.jpg"] == {
        **CATS,
        "cat-crop.jpg": "similar",
    }
    assert removed("identical") == {"cat.jpg", "rocket-copy.jpg"}
    assert removed("near-duplicate") == {"cat-small.jpg", "cat-turned.png"}
    assert removed("near-duplicate") == set()
    assert removed("similar") == {"cat-crop.jpg"}


@pytest.mark.parametrize("harm", ["gone", "changed", "unreadable"])
def test_nothing_goes_where_the_file_to_keep_is_not_safe(collection, folder, harm, monkeypatch):
    groups = collection.duplicates.find()
    keep = folder / "cat.jpg"
    if harm == "gone":
        keep.unlink()
    elif harm == "changed":
        keep.write_bytes(keep.read_bytes() + b"!")
    else:
        keep.unlink()
        keep.mkdir()
    report = collection.duplicates.delete(groups, permanently=True, tier="near-duplicate")
    assert {file.path.name for file in report.removed} == {"rocket-copy.jpg"}
    assert {failure.path for failure in report.failed} == {folder / name for name in CATS}
    assert all(f"the file to keep, {keep}, is not safe" in f.reason for f in report.failed)
    assert all((folder / name).exists() for name in CATS) and collection.count() == 5


def test_files_that_are_not_as_compared_stay(collection, folder, monkeypatch):
    groups = collection.duplicates.find()
    (folder / "cat-small.jpg").unlink()
    (folder / "cat-turned.png").write_text("edited")
    (folder / "rocket-copy.jpg").unlink()
    (folder / "rocket-copy.jpg").symlink_to(folder / "rocket.jpg")
    report = collection.duplicates.delete(groups, permanently=True, tier="near-duplicate")
    assert {failure.path.name: failure.reason for failure in report.failed} == {
        "cat-small.jpg": "No such file or directory",
        "cat-turned.png": "it has changed since it was added; add it again",
        "rocket-copy.jpg": "it is a link to another file",
    }
    assert [file.path for file in report.removed] == [folder / "deep/cat.jpg"]
    assert collection.count() == 5 and (folder / "rocket.jpg").exists()


def test_a_file_that_a_link_leads_to_stays(collection, folder):
    (folder / "link.jpg").symlink_to(folder / "cat-small.jpg")
    collection.add(folder)
    groups = collection.duplicates.find()
    reasons = {
        "link.jpg": "it is a link to another file",
        "cat-small.jpg": f"a link leads to it, {folder / 'link.jpg'}",
    }
    for dry_run in (True, False):
        report = collection.duplicates.delete(
            groups, permanently=True, dry_run=dry_run, tier="near-duplicate"
        )
        assert {failure.path.name: failure.reason for failure in report.failed} == reasons
        assert len(report.removed) == 3
    assert (folder / "link.jpg").exists()


def test_the_file_to_keep_is_not_deleted_by_another_name(collection, folder):
    groups = collection.duplicates.find()
    for name in ("deep/cat.jpg", "rocket-copy.jpg"):
        (folder / name).unlink()
        (folder / name).hardlink_to(folder / ("cat.jpg" if "cat" in name else "rocket.jpg"))
    report = collection.duplicates.delete(groups, permanently=True, tier="near-duplicate")
    assert all("by another name" in failure.reason for failure in report.failed)
    assert len(report.failed) == 2 and (folder / "deep/cat.jpg").exists()


def test_a_file_that_cannot_be_deleted_keeps_its_row(collection, folder, monkeypatch):
    groups = collection.duplicates.find()

    def fail(path):
        if path.name == "cat-small.jpg":
            raise PermissionError(13, "Permission denied")
        path.unlink()

    monkeypatch.setattr(remove, "send_to_trash", fail)
    report = collection.duplicates.delete(groups, tier="near-duplicate")
    assert [(f.path.name, f.reason) for f in report.failed] == [
        ("cat-small.jpg", "Permission denied")
    ]
    assert len(report.removed) == 3 and collection.count() == 3


@pytest.fixture
def copied(collection, folder):
    """The group of cats, with a copy of the small one."""
    shutil.copy(folder / "cat-small.jpg", folder / "z-copy.jpg")
    os.utime(folder / "z-copy.jpg", (2 * 10**9, 2 * 10**9))
    collection.add(folder)
    (group,) = (group for group in collection.duplicates.find() if "cat" in group.keep.path.name)
    return group


def test_a_copy_of_a_near_duplicate_goes_and_that_one_stays(collection, folder, copied):
    small, copy = (
        next(image for image in copied.duplicates if image.path.name == name)
        for name in ("cat-small.jpg", "z-copy.jpg")
    )
    assert (small.tier, small.copy_of) == ("near-duplicate", None)
    assert (copy.tier, copy.copy_of) == ("identical", small.id)
    report = collection.duplicates.delete([copied], permanently=True)
    assert {file.path.name for file in report.removed} == {"cat.jpg", "z-copy.jpg"}
    assert (folder / "cat-small.jpg").exists() and (folder / "cat.jpg").exists()


def test_with_the_near_duplicate_its_copy_goes_too(collection, folder, copied):
    report = collection.duplicates.delete([copied], permanently=True, tier="near-duplicate")
    names = {*(Path(name).name for name in CATS), "z-copy.jpg"}
    assert {file.path.name for file in report.removed} == names
    assert report.failed == () and (folder / "cat.jpg").exists()


@pytest.mark.parametrize("harm", ["gone", "changed", "not in the group"])
def test_a_copy_stays_where_its_original_is_not_safe(collection, folder, copied, harm):
    small = folder / "cat-small.jpg"
    if harm == "gone":
        small.unlink()
    elif harm == "changed":
        small.write_bytes(small.read_bytes() + b"!")
    else:
        left = tuple(image for image in copied.duplicates if image.path != small)
        copied = replace(copied, duplicates=left)
    report = collection.duplicates.delete([copied], permanently=True)
    assert [failure.path for failure in report.failed] == [folder / "z-copy.jpg"]
    assert {file.path for file in report.removed} == {folder / "deep/cat.jpg"}
    assert (folder / "z-copy.jpg").exists()
