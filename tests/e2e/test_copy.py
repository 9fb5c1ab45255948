"""`lookalike copy` as people type it."""

import json

import pytest

import lookalike
from tests.conftest import new_database


@pytest.fixture
def maria(mariadb):
    """The URL of a new database on MariaDB."""
    with new_database(mariadb) as url:
        yield url


@pytest.fixture
def made(database_url):
    """Two collections, and a table of the user's own."""
    with lookalike.connect(database_url) as db:
        db.collection("one", dim=2).add_embeddings(["a", "b", "c"], [[1, 2], [3, 4], [5, 6]])
        db.collection("two", dim=3).add_embeddings(["a"], [[1, 2, 3]])
        db.rows("CREATE TABLE shoes (sku INT PRIMARY KEY, photo VECTOR(2))")
        db.table("shoes")
    return database_url


def test_all_collections_are_copied_and_what_is_done_is_told(run, made, maria):
    told = run("copy", made, maria, "--dry-run").stderr.splitlines()
    assert told[0].startswith("Not copied, as only collections are: your own table test_")
    assert told[1:] == [
        "Would copy one of 3 images. Nothing was changed.",
        "Would copy two of 1 image. Nothing was changed.",
    ]
    told = run("copy", made, maria).stderr.splitlines()
    assert told[1].startswith("Copying one, two from mysql://")
    assert told[2].startswith("Copied one of 3 images: wrote 3 rows (")
    assert told[2].endswith("/s); both are equal.")
    found = json.loads(run("collections", "--database", maria, "--json").stdout)
    assert [(each["name"], each["rows"], each["copy_of"]) for each in found] == [
        ("one", 3, None),
        ("two", 1, None),
    ]
    told = run("copy", made, maria, "--collection", "two").stderr.splitlines()
    assert told[1:] == ["two of 1 image is there already, and equal."]


def test_what_is_refused_is_told_and_the_others_are_copied(run, made, maria):
    with lookalike.connect(maria) as there:
        there.collection("one", dim=2).add_embeddings(["mine"], [[7, 7]])
    done = run("copy", made, maria, "--json", "-q", status=1)
    found = json.loads(done.stdout)
    (copied,) = found["copied"]
    assert (copied["name"], copied["rows"], copied["state"]) == ("two", 1, "new")
    (refused,) = found["refused"]
    assert refused["name"] == "one" and "has a collection 'one' already" in refused["error"]
    assert run("copy", made, maria, "--collection", "one", status=2).stderr.count("\n") == 2
    again = json.loads(run("copy", made, maria, "--json", "-q", status=1).stdout)
    assert [each["state"] for each in again["copied"]] == ["equal"]
    with lookalike.connect(maria) as there:
        assert there.rows("SELECT image_name FROM one")[1] == [("mine",)]


def test_an_unfinished_copy_is_called_so(run, made, server):
    with new_database(server) as url:
        run("copy", made, url, "--collection", "one")
        with lookalike.connect(made) as source, lookalike.connect(url) as db:
            place = source.connection.url.place
            db.rows(
                "ALTER TABLE one COMMENT = %s", (f"lookalike: unfinished copy of one in {place}",)
            )
        assert "| unfinished copy |" in run("collections", "--database", url).stdout
        assert f"copy        unfinished, of one in {place}: lookalike copy goes on" in (
            run("status", "--database", url).stdout
        )
        would = run("copy", made, url, "--collection", "one", "--dry-run").stderr
        assert would.startswith("Would copy one of 3 images. An unfinished copy is there")
        run("copy", made, url, "--collection", "one")
        assert "unfinished" not in run("status", "--database", url).stdout
