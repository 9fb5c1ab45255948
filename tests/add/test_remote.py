"""`add` of URLs: what is stored and how it changes, held against the folder that is served."""

import hashlib
import os
import shutil
import sys
import uuid
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from lookalike import InputError, LookalikeError, MissingExtra, read_attributes
from lookalike.core.remote import RemotePath
from tests.add.paints import counts
from tests.colours import TABLE, mean_colour, paint
from tests.storages import forget_clients, google_server, s3_server, web_server


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """A folder whose folders are buckets, and the URLs where it is served, by protocol."""
    folder = tmp_path_factory.mktemp("served")
    with s3_server(folder) as s3, web_server(folder) as web, google_server(folder) as google:
        yield folder, {"s3": s3, "http": web, "gs": google}


@pytest.fixture(params=["s3", "http", "gs"])
def protocol(request):
    return request.param


@pytest.fixture
def images(served, protocol, folder):
    """(folder, its URL) of five images, two of them in folders of their own."""
    home, urls = served
    bucket = uuid.uuid4().hex
    shutil.copytree(folder, home / bucket / "images")
    slash = "/" if protocol == "http" else ""  # as a web server's folders are given
    yield home / bucket / "images", f"{urls[protocol]}{bucket}/images{slash}"
    shutil.rmtree(home / bucket, ignore_errors=True)


def assert_stored(db, folder: Path, url: str) -> None:
    """Each image below the folder is stored once, by its URL, as it is now."""
    columns = "path, content_hash, size, mtime_ns, embedding"
    rows = db.rows(f"SELECT {columns} FROM {TABLE} JOIN {TABLE}_files USING (id)")[1]
    files = {f"{url.rstrip('/')}/{p.relative_to(folder)}": p for p in folder.rglob("*.png")}
    assert sorted(row[0] for row in rows) == sorted(files)
    for path, digest, size, mtime_ns, embedding in rows:
        content, status = files[path].read_bytes(), files[path].stat()
        assert digest == hashlib.sha256(content).digest(), path
        assert (size, mtime_ns // 10**9) == (status.st_size, int(status.st_mtime)), path
        with Image.open(files[path]) as image:
            assert np.allclose(embedding, mean_colour(image)), path


def test_the_same_rules_hold_as_on_a_disk(db, colours, images, model):
    folder, url = images
    shutil.copy(folder / "red.png", folder / "deep/red again.png")
    (folder / "text.jpg").write_text("no image")
    (folder / ".hidden.png").write_bytes((folder / "red.png").read_bytes())
    report = colours.add(url)
    (folder / ".hidden.png").unlink()
    if url.startswith("http"):  # whose lists are pages of HTML, with a space as %20
        (folder / "deep/red again.png").rename(folder / "deep/red%20again.png")
    assert counts(report) == (5, 0, 1, 0, 0)
    assert [str(f.path).rsplit("/", 1)[1] for f in report.failed] == ["text.jpg"]
    assert_stored(db, folder, url)
    assert str(colours.failures()[0].path) == f"{url.rstrip('/')}/text.jpg"


def test_only_what_is_new_or_changed_is_embedded_again(db, colours, images, model):
    folder, url = images
    colours.add(url)
    model.count = 0
    assert counts(colours.add(url)) == (0, 0, 0, 5, 0)
    assert model.count == 0
    time = (folder / "red.png").stat().st_mtime + 1
    os.utime(paint(folder / "red.png", 0x101112), (time, time))  # a web server tells seconds alone
    paint(folder / "new.png", 0x131415)
    assert counts(colours.add(url)) == (1, 1, 0, 4, 0)
    assert model.count == 2
    assert_stored(db, folder, url)


def test_a_moved_file_keeps_its_row_and_a_gone_one_is_pruned(db, colours, images, model):
    folder, url = images
    colours.add(url)
    before = {row[0]: row[1] for row in db.rows(f"SELECT content_hash, id FROM {TABLE}_files")[1]}
    model.count = 0
    (folder / "red.png").rename(folder / "deep/crimson.png")
    (folder / "blue.png").unlink()
    report = colours.add(url)
    assert (report.moved, report.gone, model.count) == (1, 1, 0)
    assert colours.add(url, prune=True).removed == 1
    after = {row[0]: row[1] for row in db.rows(f"SELECT content_hash, id FROM {TABLE}_files")[1]}
    assert after.items() < before.items()
    assert_stored(db, folder, url)


@pytest.mark.parametrize("protocol", ["s3", "gs"], indirect=True)
def test_nothing_moves_out_of_a_bucket_that_is_not_there(db, colours, images, tmp_path):
    folder, url = images
    colours.add(url)
    bucket, other = folder.parent, folder.parent.with_name(uuid.uuid4().hex)
    shutil.copytree(bucket, other)
    bucket.rename(tmp_path / "another server's")
    try:
        report = colours.add(url.replace(bucket.name, other.name))
    finally:
        (tmp_path / "another server's").rename(bucket)
        shutil.rmtree(other)
    assert (report.reused, report.moved) == (5, 0)
    assert db.rows(f"SELECT COUNT(*) FROM {TABLE}")[1] == [(10,)]


def test_facts_come_from_the_files(db, colours, images):
    _, url = images
    assert colours.add(url, facts=True).facts == 5
    (grey,) = colours.find(f"{url.rstrip('/')}/deep/grey.png")
    told = colours.attributes.get([grey.id])[grey.id]
    assert (told["width"], told["folder"]) == (2, "deep")


def test_files_globs_and_exclude(colours, images, protocol):
    _, url = images
    base = url.rstrip("/")
    assert colours.add(f"{base}/red.png").added == 1
    assert colours.add(url, exclude=["deep/", "blue*"]).added == 2
    assert colours.add(url, only=[f"{base}/deep", f"{base}/none.png"]).added == 1
    if protocol == "s3":
        assert colours.add(f"{base}/b*.png").added == 1
        with pytest.raises(InputError, match=rf"no such file or folder: {base}/x\*\.png"):
            colours.add(f"{base}/x*.png")
    with pytest.raises(InputError, match=f"no such file or folder: {base}/none.png"):
        colours.add(f"{base}/none.png")


def test_rows_are_found_and_removed_by_their_urls(colours, images):
    _, url = images
    base = url.rstrip("/")
    colours.add(url)
    (red,) = colours.find(f"{base}/red.png")
    assert isinstance(red.path, RemotePath) and str(red.path) == f"{base}/red.png"
    (match,) = colours.search(red.id, k=1)
    assert str(match.path).startswith(base)
    assert colours.remove(f"{base}/deep") == 1
    assert colours.remove(f"{base}/red.png") == 1
    assert colours.count() == 3


def test_attributes_and_filters_take_urls(colours, images, tmp_path):
    _, url = images
    base = url.rstrip("/")
    colours.add(url)
    (tmp_path / "sizes.csv").write_text(f"path,size\n{base}/red.png,7\n{base}/none.png,8\n")
    report = colours.attributes.set(read_attributes(tmp_path / "sizes.csv"))
    assert (report.stored, len(report.unmatched)) == (1, 1)
    (red,) = colours.find(f"{base}/red.png")
    assert colours.attributes.get([red.id])[red.id] == {"size": 7}
    for where in (f"path={base}/deep/grey.png", "path~/deep/"):
        found = colours.search(red.id, k=9, where=where)
        assert [match.path.name for match in found] == ["grey.png"]


def test_files_elsewhere_are_not_trashed(colours, images):
    folder, url = images
    shutil.copy(folder / "red.png", folder / "copy.png")
    colours.add(url)
    groups = colours.duplicates.find(tier="identical")
    report = colours.duplicates.delete(groups, permanently=True)
    assert not report.removed
    assert "it is not on this machine" in report.failed[0].reason
    trashed = colours.trash(f"{url.rstrip('/')}/copy.png")
    assert [failure.reason for failure in trashed.failed] == [
        "it is not on this machine: delete it where it is"
    ]
    assert colours.count() == 6 and (folder / "copy.png").exists()


def test_a_server_that_does_not_answer_prunes_nothing(colours, folder, tmp_path, notices):
    with web_server(folder) as url:
        colours.add(url)
        gone = f"{url}red.png"
    with pytest.raises(InputError, match="Cannot connect"):
        colours.add(gone)
    with pytest.raises(InputError, match="Cannot connect"):
        colours.add(url, prune=True)
    assert colours.count() == 5


def test_an_empty_bucket_prunes_nothing(colours, served, folder):
    home, _ = served
    shutil.copytree(folder, home / "emptied")
    colours.add("s3://emptied")
    for each in (home / "emptied").rglob("*.png"):
        each.unlink()
    (home / "emptied/notes.txt").write_text("nothing else is left")
    with pytest.raises(InputError, match="no images in s3://emptied"):
        colours.add("s3://emptied", prune=True)
    assert colours.count() == 5


def test_what_cannot_be_read_says_why(colours, served, monkeypatch):
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "another")
    forget_clients()
    with pytest.raises(InputError, match=r"s3://emptied: Forbidden"):
        colours.add("s3://emptied")
    forget_clients()


@pytest.mark.parametrize(
    "url, reason",
    [
        ("nowhere://bucket/x.jpg", "Protocol not known: nowhere"),
        ("https://anna:secret@host/x.jpg", "the password would be stored with every image"),
        ("zip://x.jpg::s3://bucket/a.zip", "chained URLs are not read"),
        ("s3://bucket//x.jpg", "names that are empty"),
        ("abfs://container/x.jpg", "Install adlfs"),
        ("https://secret@host/x.jpg", "the password would be stored with every image"),
        ("http://[bad/x.jpg", "Invalid IPv6 URL"),
        ("s3://", "name a bucket or a server"),
        ("s3:///x.jpg", "name a bucket or a server"),
    ],
)
def test_urls_that_cannot_be_read_are_refused(colours, url, reason):
    with pytest.raises(LookalikeError, match=reason) as caught:
        colours.add(url)
    assert "secret" not in str(caught.value)


def test_without_the_extra_its_command_is_told(colours, monkeypatch):
    monkeypatch.setitem(sys.modules, "fsspec.core", None)
    with pytest.raises(MissingExtra, match=r"reading s3://bucket needs an extra: .*\[remote\]"):
        colours.add("s3://bucket")


def test_a_url_of_this_machine_is_a_path(db, colours, folder):
    colours.add((folder / "red.png").as_uri())
    rows = db.rows(f"SELECT path FROM {TABLE}_files")[1]
    assert rows == [(str(folder / "red.png"),)]
