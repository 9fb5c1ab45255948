"""Which files of files, folders and globs are images, and in what order."""

import os
import subprocess
from collections import Counter
from pathlib import Path

import pytest

from lookalike.core.errors import InputError
from lookalike.images import raw
from lookalike.images.walk import FoundImage, ImageWalk


@pytest.fixture
def tree(tmp_path):
    for name in ("b.jpg", "a.PNG", "deep/er/c.webp", "notes.txt", "deep/[1]/d.gif"):
        make(tmp_path / name)
    return tmp_path


def make(file):
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"x")


def names(*paths, **options):
    return [found.name for found in ImageWalk(paths, **options)]


def test_folders_are_walked_in_order(tree):
    assert names(tree) == ["a.PNG", "b.jpg", "deep/[1]/d.gif", "deep/er/c.webp"]
    found = list(ImageWalk([tree]))
    assert found[2] == FoundImage(tree / "deep/[1]/d.gif", "deep/[1]/d.gif")


def test_each_file_is_found_once(tree):
    files = [str(tree / "**" / "*.webp"), tree / "b.jpg", tree, tree / "b.jpg", tree / "deep"]
    assert names(*files) == ["c.webp", "b.jpg", "a.PNG", "deep/[1]/d.gif"]


def test_a_name_may_begin_with_a_tilde(tree, monkeypatch):
    make(tree / "~$no such user.jpg")
    monkeypatch.chdir(tree)
    assert names("~$no such user.jpg") == ["~$no such user.jpg"]
    with pytest.raises(InputError, match=r"no such file or folder: ~\$other"):
        names("~$other.jpg")


@pytest.mark.parametrize(
    ("path", "message"),
    [("", "a path is empty"), ("x" * 300, "File name too long"), ("a\0b", "no such file")],
)
def test_what_can_be_no_path_is_refused(path, message):
    with pytest.raises(InputError, match=message):
        ImageWalk([path])


def test_folders_may_be_as_deep_as_they_like(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make(tmp_path / "top.jpg")
    for _ in range(1100):
        os.mkdir("d")  # noqa: PTH102
        os.chdir("d")
    make(Path("deep.jpg"))
    os.chdir(tmp_path)
    found = [each.path.name for each in ImageWalk([tmp_path])]
    subprocess.run(["rm", "-r", tmp_path / "d"], check=True)  # too deep for pytest
    assert found == ["top.jpg", "deep.jpg"]


def test_a_walk_may_be_repeated(tree):
    walk = ImageWalk([tree])
    assert list(walk) == list(walk)


def test_a_named_file_is_tried_whatever_its_suffix(tree):
    assert names(tree / "notes.txt") == ["notes.txt"]


def test_a_folder_with_brackets_in_its_name_is_no_glob(tree):
    assert names(tree / "deep" / "[1]") == ["d.gif"]


def test_links_to_folders_are_not_followed_but_where_they_are_named(tree, tmp_path_factory):
    (tree / "deep" / "loop").symlink_to(tree, target_is_directory=True)
    assert len(names(tree)) == 4
    link = tmp_path_factory.mktemp("other") / "link"
    link.symlink_to(tree / "deep" / "er", target_is_directory=True)
    assert [found.path for found in ImageWalk([link])] == [tree / "deep/er/c.webp"]


def test_links_to_files_are_images_unless_they_lead_nowhere(tree):
    (tree / "link.jpg").symlink_to(tree / "b.jpg")
    (tree / "dangling.jpg").symlink_to(tree / "nowhere.jpg")
    assert "link.jpg" in names(tree) and "dangling.jpg" not in names(tree)


def test_hidden_files_and_folders_are_left_out_unless_asked_for(tree):
    make(tree / ".thumbnails" / "t.jpg")
    make(tree / "deep" / "._b.jpg")
    assert len(names(tree)) == 4
    assert len(names(tree, hidden=True)) == 6
    assert names(tree / ".thumbnails") == ["t.jpg"]


@pytest.mark.parametrize(
    ("pattern", "left"),
    [
        ("*.webp", ["a.PNG", "b.jpg", "deep/[1]/d.gif"]),
        ("er", ["a.PNG", "b.jpg", "deep/[1]/d.gif"]),
        ("deep/", ["a.PNG", "b.jpg"]),
        ("/b.jpg", ["a.PNG", "deep/[1]/d.gif", "deep/er/c.webp"]),
        ("deep/**/*.gif", ["a.PNG", "b.jpg", "deep/er/c.webp"]),
    ],
)
def test_patterns_exclude_as_git_does(tree, pattern, left):
    assert names(tree, exclude=[pattern]) == left


def test_several_patterns_and_exceptions(tree):
    assert names(tree, exclude=["*.gif", "*.jpg", "!b.jpg"]) == ["a.PNG", "b.jpg", "deep/er/c.webp"]


def test_a_path_that_is_missing_is_refused_before_any_file(tree):
    with pytest.raises(InputError, match="no such file or folder: .*nowhere"):
        ImageWalk([tree, tree / "nowhere"])


def test_a_pattern_that_is_none_is_refused(tree):
    with pytest.raises(InputError, match="cannot exclude !"):
        ImageWalk([tree], exclude=["!"])


def test_a_folder_that_cannot_be_read_is_told(tree, monkeypatch):
    scandir = os.scandir

    def refuse(folder):
        if folder == tree / "deep/er":
            raise PermissionError(13, "Permission denied")
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", refuse)
    found = list(ImageWalk([tree]).walk())
    assert str(found[-1]) == f"{tree / 'deep/er'}: Permission denied"
    assert len(found) == 4


@pytest.mark.parametrize(
    ("only", "found"),
    [
        (["b.jpg"], ["b.jpg"]),
        (["deep"], ["deep/[1]/d.gif", "deep/er/c.webp"]),
        (["deep/er/c.webp", "a.PNG"], ["a.PNG", "deep/er/c.webp"]),
        (["deep/er", "deep/gone", "notes.txt", "../b.jpg"], ["deep/er/c.webp"]),
        (["."], ["a.PNG", "b.jpg", "deep/[1]/d.gif", "deep/er/c.webp"]),
        ([], []),
    ],
)
def test_only_some_files_and_folders(tree, only, found):
    walk = ImageWalk([tree], only=[tree / name for name in only])
    assert sorted(each.name for each in walk) == found
    assert all(each.path == tree / each.name for each in walk)
    walk.check()  # nothing is expected


def test_what_is_wanted_may_still_be_excluded(tree):
    make(tree / ".thumbnails" / "t.jpg")
    wanted = [tree / ".thumbnails/t.jpg", tree / "deep/er/c.webp", tree / "b.jpg"]
    assert [e.name for e in ImageWalk([tree], exclude=["er/"], only=wanted)] == ["b.jpg"]


def test_folders_without_wanted_files_are_not_read(tree, monkeypatch):
    scandir, read = os.scandir, []
    monkeypatch.setattr(os, "scandir", lambda folder: read.append(folder) or scandir(folder))
    assert [e.name for e in ImageWalk([tree], only=[tree / "deep/er"])] == ["deep/er/c.webp"]
    assert [str(folder.relative_to(tree)) for folder in read] == [".", "deep", "deep/er"]


def test_named_files_are_wanted_or_not(tree):
    walk = ImageWalk([tree / "a.PNG", tree / "b.jpg"], only=[tree / "b.jpg"])
    assert [each.name for each in walk] == ["b.jpg"]


def test_what_somebody_may_take_for_an_image_is_counted(tree, monkeypatch):
    for name in ("a.mp4", "deep/b.MP4", "c.pdf", "deep/d.nef", "e.txt", "f.xmp", ".g.mov", "h"):
        make(tree / name)
    (tree / "folder.mov").mkdir()
    passed_over = Counter()
    found = list(ImageWalk([tree]).walk(passed_over))
    assert len(found) == 5 and passed_over == {".mp4": 2, ".pdf": 1}  # RAW files are images
    monkeypatch.setattr(raw, "find_spec", lambda name: None)
    passed_over.clear()
    assert len(list(ImageWalk([tree], exclude=["*.pdf"]).walk(passed_over))) == 4
    assert passed_over == {".mp4": 2, ".nef": 1}
    walk = ImageWalk([tree / "deep"], exclude=["*.webp", "*.gif"])
    told = r"no images in .*deep; passed over: 1 \.mp4, 1 \.nef \(RAW: .*pip install .*raw.*\)$"
    with pytest.raises(InputError, match=told):
        walk.check()
