"""Every command as people type it, and what they get for obvious mistakes."""

import json
import shutil
import signal
import subprocess
import sys
import threading
import time
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import lookalike

MODEL = ("--model", "efficientnet-lite2")


@pytest.fixture
def added(run, with_photos):
    """Run a command on a database with the photographs; tests leave them as they are."""
    return partial(run, LOOKALIKE_DATABASE=with_photos)


def table(text):
    """The rows of a table printed as the mysql client does."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_a_folder_becomes_a_ranking(added, photos):
    rows = table(added("search", photos / "cat.jpg", "-k", 4).stdout)
    assert rows[0] == ["path", "similarity", "match"]
    assert rows[1] == [str(photos / "cat.jpg"), "1.0000", "strong"]
    others = {photos / f"cat-{what}.jpg" for what in ("crop", "dark", "mirrored")}
    assert {Path(row[0]) for row in rows[2:]} == others
    assert {row[2] for row in rows[2:]} == {"strong"}


def test_what_is_no_match_is_said_in_words(added, photos):
    shown = added("search", "--text", "bicycle", "-k", 3)
    assert [row[2] for row in table(shown.stdout)[1:]] == ["chance"] * 3
    said = "No match: even the best result is no more similar than chance."
    assert said in shown.stderr
    found = json.loads(added("search", "--text", "bicycle", "-k", 3, "--json").stdout)
    assert found["is_chance"] is True
    assert {match["level"] for match in found["matches"]} == {"chance"}

    shown = added("search", photos / "cat.jpg", "-k", 5)
    assert table(shown.stdout)[5][::2] == [str(photos / "rocket.jpg"), "chance"]
    assert said not in shown.stderr
    found = json.loads(added("search", photos / "cat.jpg", "-k", 5, "--json").stdout)
    assert found["is_chance"] is False
    percentiles = [match["percentile"] for match in found["matches"]]
    assert sorted(percentiles, reverse=True) == percentiles and percentiles[-1] > 80


def test_a_mix_with_words_shows_no_levels(added, photos):
    shown = added("search", photos / "cat.jpg", "--text", "cat", "-k", 2)
    assert table(shown.stdout)[0] == ["path", "similarity"]
    found = added("search", photos / "cat.jpg", "--text", "cat", "-k", 2, "--json")
    assert json.loads(found.stdout)["is_chance"] is None


def test_adding_again_adds_nothing(added, photos):
    report = json.loads(added("add", photos, "--json").stdout)
    assert (report["added"], report["updated"], report["failed"]) == (0, 0, [])
    assert report["unchanged"] == 26 and report["model"] == "efficientnet-lite2"


def test_every_subject_finds_its_own_variants(added, photos):
    pairs = ["bee", "bridge", "citrus", "cat", "coffee", "dandelion", "galaxies", "rocket"]
    for subject in pairs:
        members = sorted(path.name for path in photos.glob(f"{subject}*"))
        found = json.loads(added("search", members[0], "-k", len(members) - 1, "--json").stdout)
        assert sorted(match["image_name"] for match in found["matches"]) == members[1:]


def test_words_find_what_they_mean(added):
    rows = table(added("search", "--text", "a cat", "-k", 4).stdout)
    cats = {"cat.jpg", "cat-crop.jpg", "cat-dark.jpg", "cat-mirrored.jpg"}
    assert {Path(row[0]).name for row in rows[1:]} == cats


def test_json_is_one_document_and_nothing_else(added):
    done = added("search", "cat.jpg", "-k", 2, "--json", "--verbose", "--include-self")
    found = json.loads(done.stdout)
    assert found["matches"][0]["image_name"] == "cat.jpg"
    assert found["matches"][0]["path"].endswith("cat.jpg")
    assert "sql: SELECT" in done.stderr


def test_stored_images_are_found_by_id_and_name(added):
    query = ("search", "cat.jpg", "-k", 1, "--json", "--include-self")
    row_id = json.loads(added(*query).stdout)["matches"][0]["id"]
    assert added("search", row_id).stdout == added("search", "cat.jpg").stdout


def test_min_similarity_can_find_nothing(added, photos):
    done = added("search", photos / "gravel.jpg", "--min-similarity", 0.9)
    assert table(done.stdout)[1:] == [[str(photos / "gravel.jpg"), "1.0000", "strong"]]
    Image.effect_noise((99, 99), 99).save("noise.png")
    done = added("search", Path("noise.png").absolute(), "--min-similarity", 0.9)
    assert done.stdout == "" and "No stored image is that similar" in done.stderr


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_a_url_is_fetched(added, photos):
    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(photos)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        base = f"http://127.0.0.1:{server.server_port}"
        rows = table(added("search", f"{base}/rocket.jpg", "--allow-private-urls").stdout)
        assert rows[1][0] == str(photos / "rocket.jpg")
        page = ("--allow-private-urls", "--contact-sheet", "page.html")
        added("search", f"{base}/rocket.jpg", *page)
        assert f"{base}/rocket.jpg" in Path("page.html").read_text()
        done = added("search", f"{base}/none.jpg", "--allow-private-urls", status=2)
        assert f"{base}/none.jpg: File not found" in done.stderr
        assert (
            "not an image"
            in added("search", f"{base}/SOURCES.md", "--allow-private-urls", status=2).stderr
        )
    finally:
        server.shutdown()
        server.server_close()


def test_show_sql_runs_in_the_mysql_client(added, server):
    sql = added("search", "cat.jpg", "--show-sql").stdout
    found = json.loads(added("search", "cat.jpg", "--json").stdout)["matches"]
    database = added("sql", "SELECT DATABASE() AS d", "--json").stdout
    name = json.loads(database)[0]["d"]
    done = added("server", "shell", name, "--batch", stdin=sql)
    header, *rows = (line.split("\t") for line in done.stdout.splitlines())
    assert header == ["id", "image_name", "similarity"] and len(rows) == 10
    assert [int(row[0]) for row in rows] == [match["id"] for match in found]
    similarities = [match["similarity"] for match in found]
    assert [float(row[2]) for row in rows] == pytest.approx(similarities, abs=1e-9)


def test_an_interrupt_in_the_shell_is_the_clients(run, environment):
    run("server", "start")
    shell = subprocess.Popen(
        [sys.executable, "-m", "lookalike", "server", "shell", "-BNn"],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    shell.stdin.write("SELECT 'begun'; SELECT SLEEP(2); SELECT 'done';\n")
    shell.stdin.close()
    assert shell.stdout.readline() == "begun\n"
    shell.send_signal(signal.SIGINT)
    assert shell.stdout.read().split() == ["0", "done"]
    assert shell.wait(timeout=30) == 0
    shell.stdout.close()


@pytest.fixture
def thousand(database_url):
    """A collection large enough for an index."""
    rng = np.random.default_rng(0)
    with lookalike.connect(database_url) as db:
        own = db.collection("own", dim=32)
        own.add_embeddings([f"v{i}" for i in range(1200)], rng.standard_normal((1200, 32)))


def test_the_index_is_explained_and_proved(run, thousand):
    done = run("index", "check", "--collection", "own")
    assert "own: 1,200 embeddings, 1,200 codes, all correct" in done.stderr
    through = ["search", "v5", "--collection", "own", "-k", 3, "--include-self"]
    explained = run(*through, "--explain").stdout
    assert "Plan: codes" in explained and "BIT_COUNT" in explained and "actual time" in explained
    found = json.loads(run(*through, "--explain", "--json").stdout)
    assert found["plan"] == "codes" and found["matches"][0]["image_name"] == "v5"
    exact = table(run(*through, "--exact").stdout)
    assert table(run(*through, "--n-probes", 9, "--oversampling", 999).stdout) == exact


def test_a_false_index_is_told_and_mended(run, thousand):
    run(
        "sql",
        "UPDATE own SET embedding = (SELECT embedding FROM (SELECT * FROM own WHERE id = 1) AS one)"
        " WHERE id = 9",
    )
    done = run("index", "check", "--collection", "own", status=1)
    assert "stale codes: 1 (ids 9)" in done.stderr
    assert json.loads(run("index", "rebuild", "--collection", "own", "--json").stdout)[
        "is_consistent"
    ]
    run("index", "check", "--collection", "own")


def test_a_contact_sheet_is_written(added, photos):
    done = added("search", photos / "cat.jpg", "-k", 3, "--contact-sheet", "sheet.html")
    sheet = Path("sheet.html").absolute()
    assert f"Contact sheet: {sheet}" in done.stderr
    assert sheet.read_text().count("data:image/jpeg;base64,") == 4


def test_a_page_to_show_is_nobody_elses(added, tmp_path):
    added("search", "cat.jpg", "--open", TMPDIR=str(tmp_path))
    (page,) = tmp_path.glob("lookalike-*.html")
    assert page.stat().st_mode & 0o777 == 0o600 and "data:image/jpeg" in page.read_text()


@pytest.mark.parametrize("other", [("--show-sql",), ("--open",), ("--contact-sheet", "a.html")])
def test_what_cannot_be_had_at_once_is_refused(added, other):
    done = added("search", "cat.jpg", "--explain", *other, status=2)
    assert "give one of --explain, --show-sql, and --open" in done.stderr


def test_sql_prints_tables(run):
    assert table(run("sql", "SELECT 1 AS a, NULL AS b, 'x|y' AS c, x'00ff' AS d").stdout) == [
        ["a", "b", "c", "d"],
        ["1", "NULL", "x", "y", "0x00FF"],
    ]
    assert json.loads(run("sql", "SELECT 1.5 AS a", "--json").stdout) == [{"a": "1.5"}]
    assert "no rows" in run("sql", "CREATE TABLE t (a INT)").stderr
    assert "You have an error in your SQL syntax" in run("sql", "SELEC 1", status=2).stderr


def test_terminal_escapes_in_names_are_shown_not_obeyed(run, photos):
    shutil.copy(photos / "cat.jpg", "red\x1b[31m\n.jpg")
    run("add", ".", *MODEL)
    out = run("search", "1", "--include-self").stdout
    assert "\x1b" not in out and r"red\x1b[31m\n.jpg" in out


def test_the_model_is_told_when_it_is_chosen(run, photos):
    done = run("add", photos / "cat.jpg")
    assert "efficientnet-lite2" in done.stderr and "clip-ViT-B-32" in done.stderr
    assert "Added 1 image to image_embeddings" in done.stderr
    assert run("add", photos / "cat.jpg", "--quiet").stderr == ""


def test_collections_are_apart(added, photos):
    added("add", photos / "rocket.jpg", "--collection", "other", *MODEL)
    rows = table(added("search", photos / "cat.jpg", "--collection", "other").stdout)
    assert [row[0] for row in rows[1:]] == [str(photos / "rocket.jpg")]


def write_bad_files():
    Path("zero.jpg").touch()
    Path("list.jpg").write_text("eggs, milk")
    noise = Image.effect_noise((300, 300), 90)
    noise.save("whole.jpg")
    Path("cut.jpg").write_bytes(Path("whole.jpg").read_bytes()[:5000])
    Image.new("1", (30_000, 30_000)).save("bomb.png")
    noise.save("really-a-png.jpg", "PNG")


def test_bad_files_are_skipped_and_counted(run):
    write_bad_files()
    done = run("add", ".", *MODEL, status=1)
    for name in ("zero.jpg: the file is empty", "list.jpg: not an image", "cut.jpg: ", "bomb.png"):
        assert f"{name}" in done.stderr
    assert "Added 2 images to image_embeddings, 4 skipped" in done.stderr
    # What was told does not fail a job that runs every night.
    report = json.loads(run("add", ".", "--json").stdout)
    assert report["unchanged"] == 2 and report["failed"] == []
    assert len(report["failed_before"]) == 4
    Path("new.jpg").write_text("milk")
    assert "new.jpg: not an image" in run("add", ".", status=1).stderr
    assert "still unreadable" in run("add", ".").stderr
    assert "skipped" in run("add", ".", "--retry", status=1).stderr
    assert "skipped" in run("add", ".", "--retry", "--ignore-failed").stderr


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["add", "nowhere"], "no such file or folder: nowhere"),
        (["add", "*.tif"], "no such file or folder: *.tif"),
        (["add", "empty"], "no images in empty"),
        (["add", "texts"], "no images in texts"),
        (["add"], "Missing argument 'PATH...'"),
        (["add", "PHOTOS", "--model", "no-such-model"], "unknown model 'no-such-model'"),
        (["add", "PHOTOS", "--model", "/no/such/folder"], "/no/such/folder is not a model"),
        (["add", "PHOTOS", "--collection", "9; DROP"], "'9; DROP' cannot be a collection's name"),
        (["add", "PHOTOS", "--database", "shop"], "is not a database URL"),
        (["search", "nowhere.jpg"], "'nowhere.jpg' is not an image file"),
        (["search", "list.jpg"], "list.jpg: not an image that can be read"),
        (["search", "PHOTOS/cat.jpg", "-k", "0"], "k is 0; ask for 1 to 10,000"),
        (["search", "PHOTOS/cat.jpg", "-k", "1000000"], "k is 1000000; ask for"),
        (["search", "PHOTOS/cat.jpg", "-k", "many"], "'many' is not a valid integer"),
        (["search", "PHOTOS/cat.jpg", "--min-similarity", "2"], "min_similarity is 2.0"),
        (["search", "PHOTOS/cat.jpg", "--collection", "none"], "no collection 'none'"),
        (["search", "--text", "a purple dog"], "does not know 'purple'"),
        (["search", "--text", " "], "the text query is empty"),
        (["search"], "give a query"),
        (["search", "http://127.0.0.1:1/a.jpg"], "is not on the public internet"),
        (["search", "PHOTOS/cat.jpg", "--offset", "-1"], "offset is -1"),
        (["search", "PHOTOS/cat.jpg", "--min-percentile", "101"], "min_percentile is 101.0"),
        (["search", "PHOTOS/cat.jpg", "--not", "PHOTOS/cat.jpg"], "cancel each other out"),
        (["search", "--weighted", "much", "PHOTOS/cat.jpg"], "'much' is not a valid float"),
        (["search", "--weighted", "nan", "PHOTOS/cat.jpg"], "nan is not a weight"),
        (["search", "1", "--database", "mysql://me:pw@127.0.0.1:1/d"], "cannot reach mysql://me:*"),
        (["export", "empty", "out.sql"], "no images in empty"),
        (["export", "PHOTOS", "no/out.sql"], "cannot write no/out.sql"),
        (["nonsense"], "No such command 'nonsense'"),
    ],
)
def test_mistakes_end_in_one_line(added, photos, args, message):
    Path("empty").mkdir()
    Path("texts").mkdir()
    Path("texts/a.txt").write_text("a")
    Path("list.jpg").write_text("eggs")
    before = added("sql", "SHOW TABLES").stdout
    done = added(*(arg.replace("PHOTOS", str(photos)) for arg in args), status=2)
    assert message in done.stderr
    assert done.stdout == ""
    if "Usage:" not in done.stderr:
        assert [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
        assert sum(1 for line in done.stderr.splitlines() if line) == 1
    assert added("sql", "SHOW TABLES").stdout == before


def test_another_models_embeddings_are_refused(added, photos):
    done = added("add", photos, "--model", "clip-ViT-B-32", status=2)
    assert "Error: " in done.stderr
    assert len(table(added("search", "1", "-k", 100).stdout)) == 26


@pytest.mark.slow
def test_an_interrupt_keeps_whole_batches(run, environment, photos, database_url):
    for i in range(12):
        for file in photos.glob("*.jpg"):
            # Bytes after a JPEG's end change its hash, and so each copy is embedded.
            Path(f"{i}-{file.name}").write_bytes(file.read_bytes() + bytes([i]))
    process = subprocess.Popen(
        [sys.executable, "-m", "lookalike", "add", ".", *MODEL],
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
    )
    with lookalike.connect(database_url) as db:
        while not (db.collections() and db.rows("SELECT COUNT(*) FROM image_embeddings")[1][0][0]):
            assert process.poll() is None
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        assert process.returncode == 130, errors
        assert "Traceback" not in errors and "interrupted; the same command again" in errors
        stored, files = (
            db.rows(f"SELECT COUNT(*) FROM {name}")[1][0][0]
            for name in ("image_embeddings", "image_embeddings_files")
        )
        assert stored == files and 0 < stored < 12 * 24
        run("add", ".")
        assert db.rows("SELECT COUNT(*) FROM image_embeddings")[1][0][0] == 12 * 24


def test_help_names_every_command():
    done = subprocess.run(
        [sys.executable, "-m", "lookalike", "--help"], capture_output=True, text=True, check=True
    )
    for command in (
        *("add", "search", "status", "failures", "remove", "export", "index"),
        *("install-functions", "sql", "server"),
    ):
        assert f"\n  {command} " in done.stdout


def test_server_status(run, server):
    facts = json.loads(run("server", "status", "--json").stdout)
    assert facts["running"] is True and facts["version"].startswith("9.")
    assert Path(facts["socket"]).is_socket() and Path(facts["datadir"]).is_dir()
    with lookalike.connect(facts["url"]) as db:
        assert db.rows("SELECT 1")[1] == [(1,)]
    assert "running" in run("server", "status").stdout


def test_without_a_mysql_the_remedy_is_told(run, tmp_path):
    env = {"LOOKALIKE_DATABASE": "", "LOOKALIKE_HOME": str(tmp_path / "new"), "PATH": "/nowhere"}
    done = run("search", "cat.jpg", status=2, **env)
    assert "run `lookalike server install`" in done.stderr
