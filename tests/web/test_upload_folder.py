"""Uploads on disk: whole, under clean names, never over another file."""

import hashlib

import pytest

from lookalike.web.upload_folder import UploadFolder, clean_name, upload_folders
from lookalike.web.uploads import Upload

JPEG = b"\xff\xd8\xff" + b"x" * 60
PNG = b"\x89PNG\r\n\x1a\n" + b"y" * 60


@pytest.fixture
def folder(tmp_path):
    made = UploadFolder(tmp_path, "photos")
    yield made
    made.close()


def files_of(folder):
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and ".incoming" not in path.parts
    )


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("cat.jpg", "cat.jpg"),
        ("CAT.JPEG", "CAT.JPEG"),
        ("", "image.jpg"),
        ("../../etc/passwd", "passwd.jpg"),
        ("..\\..\\boot.ini", "boot.jpg"),
        ("/etc/shadow.jpg", "shadow.jpg"),
        (".htaccess", "htaccess.jpg"),
        ("..", "image.jpg"),
        ("-rf.jpg", "rf.jpg"),
        ("page.html", "page.jpg"),
        ("a.php.jpg", "a.php.jpg"),
        ("a\0b\n\x1b[31m.jpg", "a_b__[31m.jpg"),
        ("<img src=x>.jpg", "<img src=x>.jpg"),
        ("\u202egpj.exe", "_gpj.jpg"),
        ("猫" * 100 + ".jpg", "猫" * 40 + ".jpg"),
        ("\udcff.jpg", "_.jpg"),
        ("~root", "~root.jpg"),
        ("*.jpg", "*.jpg"),
    ],
)
def test_a_client_s_name_is_a_hint(name, clean):
    assert clean_name(Upload(name, JPEG)) == clean


def test_the_suffix_says_what_the_bytes_are():
    assert clean_name(Upload("a.jpg", PNG)) == "a.png"


def test_files_are_whole_and_none_is_overwritten(folder):
    first, again = Upload("a.jpg", JPEG), Upload("a.jpg", JPEG)
    digits = hashlib.sha256(JPEG).hexdigest()[:2]
    (folder.folder / digits).mkdir()
    (folder.folder / digits / "a.jpg").write_bytes(b"another's")
    kept = folder.keep(first)
    assert kept.path.read_bytes() == JPEG
    assert kept.path.name == f"a-{first.content_hash[:16]}.jpg"
    assert folder.keep(again).path == kept.path
    assert (folder.folder / digits / "a.jpg").read_bytes() == b"another's"
    assert len(files_of(folder.folder)) == 2


def test_file_systems_without_links(folder, monkeypatch):
    def refuse(*_):
        raise PermissionError(1, "no links here")

    monkeypatch.setattr("os.link", refuse)
    kept = folder.keep(Upload("a.jpg", JPEG))
    assert kept.path.read_bytes() == JPEG
    assert folder.keep(Upload("a.jpg", JPEG)).path == kept.path
    assert len(files_of(folder.folder)) == 1


def test_what_a_killed_server_left_is_found_once(tmp_path, folder):
    killed = UploadFolder(tmp_path, "photos")
    placed = killed.keep(Upload("a.jpg", JPEG))
    settled = killed.keep(Upload("b.png", PNG))
    settled.forget()
    half = killed._own / "0123456789abcdef.part"
    half.write_bytes(JPEG[:9])
    (killed._own / f"{'0' * 64}-gone.jpg").touch()
    assert list(folder.left()) == []  # it still runs
    killed._lock.release()  # as its end does
    left = [each for several in folder.left() for each in several]
    assert [each.path for each in left] == [placed.path]
    assert not half.exists() and killed._own.exists()
    left[0].forget()
    assert list(folder.left()) == [[]]
    assert not killed._own.exists()
    assert upload_folders(tmp_path) == ["photos"]


def test_a_name_that_was_only_reserved_is_given_back(tmp_path, folder):
    killed = UploadFolder(tmp_path, "photos")
    kept = killed.keep(Upload("a.jpg", JPEG))
    kept.path.write_bytes(b"")
    killed._lock.release()
    assert list(folder.left()) == [[]]
    assert not kept.path.exists()
