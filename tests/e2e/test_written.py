"""Commands that write files never touch one that lookalike did not write."""

import json
import shutil
import subprocess
import sys

import pytest

MODEL = ("--model", "efficientnet-lite2")
NAMES = ("bee.jpg", "cat.jpg", "rocket.jpg")


@pytest.fixture
def pictures(photos, tmp_path):
    """{path: bytes} of some photographs in the current folder."""
    for name in NAMES:
        shutil.copy(photos / name, tmp_path)
    return {tmp_path / name: (tmp_path / name).read_bytes() for name in NAMES}


def assert_untouched(pictures, folder):
    assert {file: file.read_bytes() for file in pictures} == pictures
    assert {file for file in folder.iterdir() if file.is_file()} == set(pictures)


@pytest.mark.parametrize("force", ["", "--force"])
def test_a_pattern_without_a_file_after_it_costs_no_photograph(
    environment, pictures, tmp_path, force
):
    line = f"{sys.executable} -m lookalike export {force} *.jpg"
    done = subprocess.run(
        line, shell=True, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert done.stderr == ("Error: cannot write rocket.jpg: give a file whose name ends in .sql\n")
    assert_untouched(pictures, tmp_path)


@pytest.mark.parametrize("force", [[], ["--force"]])
@pytest.mark.parametrize(
    "command", [["search", "cat.jpg", "--contact-sheet"], ["duplicates", "--html"]]
)
def test_a_page_is_no_photograph(run, pictures, tmp_path, command, force):
    run("add", *pictures, *MODEL)
    done = run(*command, "bee.jpg", *force, status=2)
    assert done.stderr.count("\n") == 1 and done.stdout == ""
    assert "bee.jpg: give a file whose name ends in .html or .htm" in done.stderr
    assert_untouched(pictures, tmp_path)


@pytest.mark.parametrize(
    ("command", "file"),
    [
        (["search", "cat.jpg", "--contact-sheet"], "mine.html"),
        (["duplicates", "--html"], "mine.htm"),
        (["export", "cat.jpg", *MODEL], "mine.SQL"),
    ],
)
def test_a_file_of_the_users_is_replaced_with_force_alone(run, pictures, tmp_path, command, file):
    run("add", *pictures, *MODEL)
    mine = tmp_path / file
    mine.write_text("<!doctype html> -- mine")
    done = run(*command, file, status=2)
    assert done.stderr.count("\n") == 1 and file in done.stderr and "--force" in done.stderr
    assert mine.read_text() == "<!doctype html> -- mine"
    run(*command, file, "--force")
    first = mine.read_bytes()
    run(*command, file)  # its own by now
    assert mine.read_bytes() == first and len(first) > 1000


def test_an_export_goes_to_standard_output(run, photos, tmp_path, database_url):
    done = run("export", photos / "cat.jpg", "-", *MODEL, PYTHONIOENCODING="ascii")
    assert "Added 1 image to standard output" in done.stderr
    name = database_url.partition("?")[0].rpartition("/")[2]
    run("server", "shell", name, stdin=done.stdout)
    (row,) = json.loads(run("sql", "SELECT image_name FROM image_embeddings", "--json").stdout)
    assert row == {"image_name": "cat.jpg"}
    both = run("export", photos / "cat.jpg", "-", "--json", status=2)
    assert "--json prints to standard output" in json.loads(both.stdout)["error"]
    assert not list(tmp_path.glob("-*"))
