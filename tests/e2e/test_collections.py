"""`lookalike collections` as people type it."""

import json

import pytest

import lookalike


@pytest.fixture
def made(run, photos, database_url):
    """Two collections, one with files and one without."""
    run("add", photos / "cat.jpg", photos / "bee.jpg", "--model", "efficientnet-lite2")
    with lookalike.connect(database_url) as db:
        db.collection("own", dim=2).add_embeddings(["a", "b", "c"], [[1, 2], [3, 4], [5, 6]])
    return run


def cells(text):
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def names(run):
    return [row[0] for row in cells(run("collections").stdout)[1:]]


def test_the_list_names_images_model_size_and_index(made):
    head, *rows = cells(made("collections").stdout)
    assert head == ["name", "images", "model", "size", "index"]
    assert [[*row[:3], row[4]] for row in rows] == [
        ["image_embeddings", "2", "efficientnet-lite2", "none"],
        ["own", "3", "none (2 dimensions)", "none"],
    ]
    found = json.loads(made("collections", "--json").stdout)
    assert [(each["name"], each["rows"], each["indexed"]) for each in found] == [
        ("image_embeddings", 2, 0),
        ("own", 3, 0),
    ]
    # Each table and each of its keys has a page of 16 KiB at least.
    assert all(5 * 16_384 <= each["size"] < 2**21 for each in found)


def test_no_collections_are_told_with_the_way_to_one(run):
    assert "lookalike add" in run("collections").stderr
    assert json.loads(run("collections", "--json").stdout) == []


def test_without_a_terminal_nothing_is_deleted_unless_asked_for(made, photos):
    done = made("collections", "delete", "own", status=2, stdin="y\n")
    assert done.stderr.splitlines() == [
        "Error: nothing was deleted: there is no terminal to ask on; add --yes, or look first with "
        "--dry-run"
    ]
    told = made("collections", "delete", "own", "--dry-run").stderr
    assert told.startswith("Would delete collection own of 3 images")
    assert names(made) == ["image_embeddings", "own"]
    gone = json.loads(made("collections", "delete", "own", "--yes", "--json").stdout)
    assert (gone["name"], gone["rows"], gone["is_dry_run"]) == ("own", 3, False)
    done = made("collections", "delete", "image_embeddings", "--yes")
    assert done.stderr.startswith("Deleted collection image_embeddings of 2 images")
    assert done.stderr.endswith("Image files stay.\n")
    assert names(made) == []
    assert (photos / "cat.jpg").exists()


@pytest.mark.parametrize("answer, status, left", [("n", 2, True), ("", 2, True), ("y", 0, False)])
def test_on_a_terminal_it_tells_what_goes_and_asks(made, on_terminal, answer, status, left):
    said = on_terminal("collections", "delete", "own", types=f"{answer}\n", status=status)
    assert "Delete collection own of 3 images (tables own_files, " in said
    assert "Image files stay. [y/N]" in said
    assert ("Nothing was deleted." in said) == left
    assert ("own" in names(made)) == left


def test_a_renamed_collection_is_searched_and_added_to(made, photos):
    done = made("collections", "rename", "image_embeddings", "pictures")
    assert done.stderr == "Renamed image_embeddings to pictures.\n"
    assert names(made) == ["own", "pictures"]
    made("add", photos / "bridge.jpg", "--collection", "pictures")
    found = made("search", photos / "bridge.jpg", "--collection", "pictures", "--json", "-k", 1)
    assert json.loads(found.stdout)["matches"][0]["image_name"] == "bridge.jpg"
    assert "Added 1" in made("add", photos / "coffee.jpg", "--model", "efficientnet-lite2").stderr
    assert names(made) == ["image_embeddings", "own", "pictures"]


def test_what_cannot_be_done_is_one_line(made):
    for command in (["delete", "nope", "--yes"], ["rename", "nope", "other"]):
        error = made("collections", *command, status=2).stderr
        assert error.count("\n") == 1
        assert error.startswith("Error: there is no collection 'nope' in ")
        assert error.endswith("the collections are: image_embeddings, own\n")
    error = made("collections", "rename", "own", "image_embeddings", status=2).stderr
    assert error.startswith("Error: a table 'image_embeddings' exists already")
    assert "after delete" in made("collections", "--quiet", "delete", "own", status=2).stderr
