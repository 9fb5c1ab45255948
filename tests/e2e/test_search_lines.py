"""`search -`: each line of standard input is answered by a line."""

import json
import os
import subprocess
import sys
from functools import partial

import pytest

import lookalike


@pytest.fixture
def stored(run, with_photos):
    """Run a command on a database with the example photographs."""
    return partial(run, LOOKALIKE_DATABASE=with_photos)


@pytest.fixture
def ask(environment, with_photos):
    """Start `search -`; yield a function that writes a line and returns the answer."""
    running = []

    def start(*options):
        process = subprocess.Popen(
            [sys.executable, "-m", "lookalike", "search", "-", *options],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=environment | {"LOOKALIKE_DATABASE": with_photos},
        )
        running.append(process)

        def answer(line):
            process.stdin.write(os.fsencode(line) + b"\n")
            process.stdin.flush()
            return process.stdout.readline().decode()

        def end():
            out, errors = process.communicate(timeout=60)
            return process.returncode, out.decode(), errors.decode()

        return answer, end

    yield start
    for process in running:
        process.kill()
        process.communicate()


def test_each_line_is_answered_before_the_next_is_written(ask, stored, photos):
    answer, end = ask("--json", "-k", "2")
    for line in (str(photos / "cat.jpg"), "bee.jpg", "1"):
        found = json.loads(answer(line))
        alone = json.loads(stored("search", line, "--json", "-k", 2).stdout)
        assert found == {
            "query": line,
            "matches": alone["matches"],
            "is_chance": alone["is_chance"],
            "error": None,
        }
    assert end() == (0, "", "")


def test_a_line_that_fails_is_told_and_the_rest_go_on(ask, photos, tmp_path):
    (tmp_path / "damaged.jpg").write_bytes((photos / "cat.jpg").read_bytes()[:500])
    (tmp_path / "text\n.jpg".replace("\n", " ")).write_text("no image")
    answer, end = ask("-k", "1")
    cat = answer(photos / "cat.jpg")
    assert cat.startswith(f"{photos / 'cat.jpg'}: {photos / 'cat'}")
    assert cat.endswith("(1.0000, strong)\n")
    for line, problem in (
        (tmp_path / "damaged.jpg", "damaged.jpg: "),
        (tmp_path / "text .jpg", "not an image that can be read"),
        ("nowhere.jpg", "nowhere.jpg"),
        ("http://[/", "http://[/"),
        ("99999", "99999"),
        (b"\xff.jpg", r"\udcff.jpg"),
    ):
        told = answer(line)
        assert ": error: " in told and problem in told, told
    assert answer(photos / "cat.jpg") == cat
    assert end() == (1, "", "")


def test_lines_are_mixed_with_the_other_terms(ask, stored, photos):
    answer, end = ask("--json", "-k", "3", "--not", "bee.jpg", "--order-by", "-width")
    found = json.loads(answer(photos / "cat.jpg"))["matches"]
    alone = stored(
        *("search", photos / "cat.jpg", "--not", "bee.jpg"),
        *("--order-by", "-width", "--json", "-k", 3),
    )
    assert found == json.loads(alone.stdout)["matches"]
    widths = [match["attributes"]["width"] for match in found]
    assert widths == sorted(widths, reverse=True)
    assert end()[0] == 0


def test_a_lost_connection_is_opened_again(ask, with_photos, photos):
    answer, end = ask("--json")
    assert json.loads(answer(photos / "cat.jpg"))["error"] is None
    with lookalike.connect(with_photos) as db:
        mine = db.rows("SELECT CONNECTION_ID()")[1][0][0]
        name = db.rows("SELECT DATABASE()")[1][0][0]
        for number, of in db.rows("SELECT id, db FROM information_schema.processlist")[1]:
            if of == name and number != mine:
                db.rows(f"KILL {number}")
    assert json.loads(answer(photos / "bee.jpg"))["matches"]
    assert end() == (0, "", "")


def test_nothing_found_is_an_answer(stored, photos):
    options = ("--min-similarity", "0.999", "--exclude-self")
    done = stored("search", "-", *options, stdin=f"{photos / 'bee.jpg'}\n\n")
    assert done.stdout.startswith(f"{photos / 'bee.jpg'}: ") and done.stdout.count("\n") == 1
    assert stored("search", "-", stdin="").stdout == ""


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["-", "a.jpg"], "give queries, or - for standard input, not both"),
        (["-", "--explain"], "leave out --explain"),
        (["-", "--paths-only"], "leave out --paths-only"),
        (["-", "--show", "width"], "leave out --show; --json has them"),
        (["-", "-k", "0"], "k is 0"),
        (["-", "--where", "colour=red"], "colour"),
        (["-", "--order-by", "-colour"], "colour"),
        (["-", "--collection", "nowhere"], "there is no collection 'nowhere'"),
    ],
)
def test_wrong_use_is_told_before_any_answer(stored, args, message):
    done = stored("search", *args, stdin="1\n", status=2)
    assert done.stdout == "" and message in done.stderr
