"""`lookalike screen` of folders and globs, as `add` takes them."""

import json
import os
import shutil

import pytest

MODEL = ("--model", "efficientnet-lite2")
AGAINST = ("--against", "prohibited")


@pytest.fixture
def blocked(run, photos):
    run("add", photos / "cat.jpg", "--collection", "prohibited", *MODEL)
    return run


@pytest.fixture
def uploads(photos, tmp_path):
    """Two clean ones, one of them deeper, and of a cat: one hidden, one without a suffix."""
    folder = tmp_path / "uploads"
    (folder / "deep").mkdir(parents=True)
    for name, copy in (
        ("grass.jpg", "grass.jpg"),
        ("coffee.jpg", "deep/coffee.jpg"),
        ("cat.jpg", ".cat.jpg"),
        ("cat.jpg", "cat"),
    ):
        shutil.copy(photos / name, folder / copy)
    return folder


def verdicts(done, folder):
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    return {
        os.path.relpath(folder.parent / each["image"], folder): each["verdict"] for each in answers
    }


def test_folders_and_globs_are_walked(blocked, photos, uploads):
    def screen(*args, status=0):
        return verdicts(blocked("screen", *args, *AGAINST, "--json", status=status), uploads)

    clean = {"grass.jpg": "clean", "deep/coffee.jpg": "clean"}
    assert screen("uploads") == clean
    assert screen("uploads/*.jpg", "uploads/deep") == clean
    assert screen("uploads", "--hidden", status=1) == {**clean, ".cat.jpg": "match"}
    assert screen("uploads", "--exclude", "deep/") == {"grass.jpg": "clean"}
    # What is named itself is judged whatever its name.
    assert screen("uploads/cat", "uploads/.cat.jpg", status=1) == {
        "cat": "match",
        ".cat.jpg": "match",
    }


def test_a_name_with_brackets_is_a_file(blocked, uploads):
    (uploads / "cat").rename(uploads / "cat[1].jpg")
    done = blocked("screen", "uploads/cat[1].jpg", *AGAINST, status=1)
    assert done.stdout.startswith("uploads/cat[1].jpg: match: ")


def test_what_has_no_images_is_not_clean(blocked, uploads, tmp_path):
    (tmp_path / "empty").mkdir()
    done = blocked("screen", "uploads", "empty", "*.tif", *AGAINST, status=2)
    told = done.stdout.splitlines()
    assert told[2:] == ["empty: error: no images in it", "*.tif: error: No such file or directory"]
    assert done.stderr == "2 images of 4 could not be checked\n"
    (uploads / "list.jpg").write_text("eggs, milk")
    assert (
        "list.jpg: error: not an image" in blocked("screen", "uploads", *AGAINST, status=2).stdout
    )
    both = blocked("screen", "uploads", "--hidden", *AGAINST, status=1)
    assert "list.jpg: error: " in both.stdout and ".cat.jpg: match: " in both.stdout


def test_lines_are_names_of_files_not_globs(blocked, uploads):
    done = blocked("screen", "-", *AGAINST, "--json", stdin="uploads\nuploads/*.jpg\n", status=2)
    assert set(verdicts(done, uploads).values()) == {"error"}
