"""Paths that are URLs: their text and parts, and what tells whether a file has changed."""

import copy
import os
import pickle
from datetime import UTC, datetime
from pathlib import Path

import pytest

from lookalike.core.paths import absolute
from lookalike.core.remote import RemotePath, checked_url, is_bucket, is_remote, located, stamp_of

URL = "s3://bucket/trips/2024/bee.jpg"


def test_the_text_is_the_url():
    path = located(URL)
    assert isinstance(path, RemotePath) and str(path) == os.fspath(path) == path.as_uri() == URL
    assert (path.name, path.suffix, path.protocol) == ("bee.jpg", ".jpg", "s3")
    assert str(path.parent) == "s3://bucket/trips/2024"
    assert [str(each) for each in path.parents][:3] == [
        "s3://bucket/trips/2024",
        "s3://bucket/trips",
        "s3://bucket",
    ]
    assert path.parent / "bee.jpg" == path and str(path.parent / "a b.jpg")[-8:] == "/a b.jpg"
    assert path.is_absolute() and path.resolve() is path.absolute() is path
    assert str(path.relative_to("s3://bucket")) == "trips/2024/bee.jpg"
    assert absolute(URL + "/") == absolute(path) == URL


def test_it_survives_copies_and_pickles():
    path = located(URL)
    for other in (pickle.loads(pickle.dumps(path)), copy.deepcopy(path)):
        assert isinstance(other, RemotePath) and other == path and str(other) == URL
    assert {path: 1}[located(URL)] == 1


@pytest.mark.parametrize("text", ["/a/b.jpg", "b.jpg", "C:/x.jpg", "a b://c", "://x"])
def test_other_texts_are_paths(text):
    assert not is_remote(text) and type(located(text)) is type(Path())


def test_a_query_is_part_of_the_name():
    assert str(located("https://host/a.jpg?w=300&h=2")) == "https://host/a.jpg?w=300&h=2"


def test_the_scheme_is_in_small_letters():
    assert str(checked_url("S3://Bucket/Bee.JPG")) == "s3://Bucket/Bee.JPG"


@pytest.mark.parametrize(
    "text, expected",
    [("s3://b/x", True), ("GS://b/x", True), ("ftp://host/x", False), ("/s3/x", False)],
)
def test_a_bucket_is_no_server_that_the_url_names(text, expected):
    assert is_bucket(text) == is_bucket(located(text)) == expected


def test_a_file_url_is_a_path():
    assert checked_url("file:///a%20b/c.jpg") == Path("/a b/c.jpg")


@pytest.mark.parametrize(
    "time",
    [
        {"LastModified": datetime(2024, 5, 6, 7, 8, 9, 123000, UTC)},  # s3fs, of a list
        {"LastModified": datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)},  # s3fs, of a file
        {"updated": "2024-05-06T07:08:09.123Z"},  # gcsfs
        {"last_modified": datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)},  # adlfs
        {"Last-Modified": "Mon, 06 May 2024 07:08:09 GMT"},  # HTTP
        {"mtime": 1714979289.5},  # sftp and others
    ],
)
def test_the_time_is_in_whole_seconds_whatever_form_it_has(time):
    assert stamp_of({"size": 7, **time}) == (7, 1714979289_000_000_000)


def test_an_etag_tells_files_of_one_second_apart():
    one, other = (stamp_of({"size": None, "ETag": tag, "mtime": 5.9}) for tag in ('"a"', '"b"'))
    assert one.size == 0 and one != other == stamp_of({"ETag": '"b"', "mtime": 5})
    assert one.mtime_ns // 10**9 == other.mtime_ns // 10**9 == 5
    assert 0 < stamp_of({"size": 3, "ETag": "x"}).mtime_ns < 10**9
    assert stamp_of({"size": 3}) == (3, 0)
