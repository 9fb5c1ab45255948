"""Which file it is: tables, pipes and pages say so."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.colours import TABLE, Colours, paint

pytestmark = pytest.mark.usefixtures("in_an_empty_folder")

DEEP = "a folder with a name that is long/and another one/of the same kind"


@pytest.fixture
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def stored(db, tmp_path):
    """Two files of one name, one with a line break in its name, and a row without a file."""
    files = [tmp_path / "pictures" / year / DEEP / "IMG_0001.png" for year in ("2023", "2024")]
    files.append(tmp_path / "pictures" / "a\nb.png")
    colours = db.collection(TABLE, model=Colours())
    for colour, file in zip((0x102030, 0x112131, 0x122232), files, strict=True):
        colours.add(paint(file, colour))
    colours.add_embeddings(["own"], [[20, 36, 53]])
    return files


def search(*args):
    return ["search", "1", "--include-self", "--collection", TABLE, *args]


def test_matches_have_paths(db, stored):
    colours = db.collection(TABLE, model=Colours())
    matches = colours.search(1, exclude_self=False)
    assert {match.id: match.path for match in matches} == dict(enumerate([*stored, None], start=1))
    assert colours.explain(1).matches == tuple(colours.search(1))
    (verdict,) = colours.screen([stored[0]], min_similarity=0.5)
    assert {match.id: match.path for match in verdict.matches}[2] == stored[1]


def test_matches_of_a_table_without_files_have_no_paths(db):
    db.rows("CREATE TABLE own (id INT PRIMARY KEY, image_name VARCHAR(255), embedding VECTOR(2))")
    db.rows("INSERT INTO own VALUES (1, 'a', STRING_TO_VECTOR('[1,2]'))")
    (match,) = db.collection("own").search(1, exclude_self=False)
    assert (match.image_name, match.path) == ("a", None)


@pytest.mark.parametrize("columns", [60, 80, 200])
def test_a_table_fits_the_terminal_and_tells_files_apart(on_terminal, environment, stored, columns):
    environment |= {"COLUMNS": str(columns), "LINES": "25"}
    lines = on_terminal(*search("--ids"), types="").replace("\r", "").splitlines()
    table = [line for line in lines if line.startswith("|")]
    assert len(table) == 5 and all(len(line) <= columns for line in table)
    cells = {row[1]: row[2] for row in (re.split(r" *\| *", line) for line in table)}
    assert cells["id"] == "path" and cells["4"] == "own"
    assert cells["1"] != cells["2"] and "2023" in cells["1"] and "2024" in cells["2"]
    assert cells["1"].endswith("IMG_0001.png")
    is_whole = len(str(stored[0])) <= columns - len("| id |  | similarity |")
    assert cells["1"] == str(stored[0]) if is_whole else cells["1"].startswith("…/")


def test_a_pipe_gets_whole_paths(run, stored):
    rows = run(*search()).stdout
    assert str(stored[0]) in rows and str(stored[1]) in rows and "own" in rows
    found = json.loads(run(*search("--json")).stdout)["matches"]
    assert {match["id"]: match["path"] for match in found} == {
        1: str(stored[0]),
        2: str(stored[1]),
        3: str(stored[2]),
        4: None,
    }


def test_paths_alone_are_the_bytes_of_the_names(run, environment, stored, tmp_path):
    done = run(*search("--paths-only"))
    assert sorted(done.stdout.split("\n")) == sorted(["", *"\n".join(map(str, stored)).split("\n")])
    assert done.stderr == "1 result has no file and so no path: only the embedding is stored.\n"
    # A locale that knows no UTF-8 changes nothing.
    done = subprocess.run(
        [sys.executable, "-m", "lookalike", *search("-0", "--quiet")],
        capture_output=True,
        cwd=tmp_path,
        env=environment | {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        check=True,
    )
    paths = done.stdout.split(b"\0")
    assert paths.pop() == b"" and done.stderr == b""
    assert set(paths) == {os.fsencode(file) for file in stored}
    listed = subprocess.run(
        ["xargs", "-0", "ls", "-d", "--"], input=done.stdout, capture_output=True, check=True
    )
    assert listed.stdout.count(b".png") == 3


@pytest.mark.parametrize("other", ["--explain", "--show-sql", "--ids"])
@pytest.mark.parametrize("option", ["--paths-only", "-0"])
def test_paths_alone_go_with_nothing_else(run, option, other):
    done = run("search", "1", option, other, status=2)
    assert done.stderr == (f"Error: --paths-only prints only paths: leave out {other}\n")
    assert done.stdout == ""
    error = json.loads(run("search", "1", option, "--json", status=2).stdout)["error"]
    assert error == "--paths-only prints only paths: leave out --json"


def test_a_page_shows_a_query_that_is_stored(run, stored):
    run(*search("--contact-sheet", "a.html"))
    page = Path("a.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 4
    assert page.count(f'<a class="picture" href="{stored[0].as_uri()}">') == 2
    stored[1].unlink()
    run("search", "2", "--collection", TABLE, "--contact-sheet", "b.html")
    page = Path("b.html").read_text()
    assert page.count("data:image/jpeg;base64,") == 2 and "No such file" in page
    run("search", "own", "--collection", TABLE, "--contact-sheet", "c.html")
    assert "only its embedding is stored" in Path("c.html").read_text()
