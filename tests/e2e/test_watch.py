"""`lookalike watch`: real processes, and files that come, change, move and go meanwhile."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from io import BytesIO
from tempfile import TemporaryFile

import numpy as np
import pytest
from PIL import Image

import lookalike
from tests.mortal_server import mortal_server

LIMIT = 90  # seconds that anything may take
QUIET = "0.5"
TABLE = "image_embeddings"


def content_of(seed):
    squares = np.random.default_rng(seed).integers(0, 256, (3, 3, 3), np.uint8)
    file = BytesIO()
    Image.fromarray(squares).resize((48, 48), Image.Resampling.NEAREST).save(file, "PNG")
    return file.getvalue()


class Watching:
    """A running `lookalike watch`, and what it has stored."""

    def __init__(self, folder, environment, *options):
        self.folder, self.url = folder, environment["LOOKALIKE_DATABASE"]
        arguments = ["watch", str(folder), "--model", "efficientnet-lite2", "--quiet-time", QUIET]
        self.out, self.err = TemporaryFile("w+"), TemporaryFile("w+")  # noqa: SIM115
        self.process = subprocess.Popen(
            [sys.executable, "-m", "lookalike", *arguments, *options],
            stdout=self.out,
            stderr=self.err,
            env=environment,
            start_new_session=True,
        )

    def said(self):
        """Return what is on standard output and standard error."""
        for file in (self.out, self.err):
            file.seek(0)
        return self.out.read(), self.err.read()

    def until_begun(self):
        """Wait for the first batch, of which --json tells, and a line without --json."""
        self.until(lambda _: self.said()[0] or "Watching" in self.said()[1])
        return self

    def stored(self):
        """{path within the folder: id}"""
        with lookalike.connect(self.url) as db:
            if (f"{TABLE}_files",) not in db.rows("SHOW TABLES")[1]:
                return {}
            rows = db.rows(f"SELECT path, id FROM {TABLE}_files")[1]
        return {os.path.relpath(path, self.folder): row_id for path, row_id in rows}

    def until(self, holds):
        deadline = time.monotonic() + LIMIT
        while not holds(self.stored()):
            assert self.process.poll() is None, self.said()
            assert time.monotonic() < deadline, self.stored()
            time.sleep(0.1)
        return self.stored()

    def until_stored(self, *names):
        return self.until(lambda stored: set(stored) == set(names))

    def failures(self):
        with lookalike.connect(self.url) as db:
            return [failure.path.name for failure in db.collection(TABLE).failures()]

    def end(self, number=signal.SIGINT):
        """End it; return its status, standard output and standard error."""
        self.process.send_signal(number)
        return self.ended()

    def ended(self):
        self.process.wait(LIMIT)
        out, errors = self.said()
        assert "Traceback" not in errors, errors
        return self.process.returncode, out, errors


@pytest.fixture
def start(environment, tmp_path):
    """Watch the folder `images`."""
    (tmp_path / "images").mkdir()
    running = []

    def begin(*options, **env):
        running.append(Watching(tmp_path / "images", environment | env, *options))
        return running[-1]

    yield begin
    for each in running:
        each.process.kill()
        each.process.wait(LIMIT)
        each.out.close()
        each.err.close()


@pytest.fixture
def images(tmp_path):
    return tmp_path / "images"


def test_files_that_come_change_move_and_go(start, images):
    (images / "a.png").write_bytes(content_of(1))
    watching = start("--prune", "--exclude", "cache/")
    first = watching.until_stored("a.png")
    # A file, a folder with one, and what is not to be stored.
    (images / "new/deep").mkdir(parents=True)
    (images / "new/deep/b.png").write_bytes(content_of(2))
    (images / "cache").mkdir()
    for name in ("cache/c.png", ".hidden.png", "notes.txt"):
        (images / name).write_bytes(content_of(3))
    (images / "d.png").write_bytes(content_of(4))
    second = watching.until_stored("a.png", "new/deep/b.png", "d.png")
    assert second["a.png"] == first["a.png"]
    # Moved, with its row; changed, with its id; deleted, with --prune.
    (images / "new").rename(images / "old")
    moved = watching.until_stored("a.png", "old/deep/b.png", "d.png")
    assert moved["old/deep/b.png"] == second["new/deep/b.png"]
    (images / "d.png").write_bytes(content_of(5))
    (images / "a.png").unlink()
    watching.until_stored("old/deep/b.png", "d.png")
    time.sleep(2)
    with lookalike.connect(watching.url) as db:
        (best, *_) = db.collection(TABLE).search(content_of(5), k=1)
        assert (best.id, best.path.name) == (second["d.png"], "d.png") and best.similarity > 0.999
    status, out, said = watching.end()
    assert (status, out) == (0, "")
    assert "Watching" in said and "removed" in said
    assert said.splitlines()[-1].startswith("Watched for 0 minutes: 3 added, 1 updated, 1 moved, ")


def test_deleted_files_keep_their_rows_without_prune(start, images):
    for i in (1, 2):
        (images / f"{i}.png").write_bytes(content_of(i))
    watching = start()
    watching.until_stored("1.png", "2.png")
    (images / "1.png").unlink()
    (images / "3.png").write_bytes(content_of(3))
    watching.until_begun().until_stored("1.png", "2.png", "3.png")
    time.sleep(1)
    assert watching.end()[0] == 0


def test_a_file_that_is_being_written_is_stored_when_it_is_whole(start, images):
    """In pieces, with pauses longer than the quiet time; and one that stays cut off."""
    content = content_of(1)
    watching = start("--json")
    with (images / "slow.png").open("wb", buffering=0) as file:
        for begin in range(0, len(content), len(content) // 3 + 1):
            file.write(content[begin : begin + len(content) // 3 + 1])
            time.sleep(1.5)
    watching.until_stored("slow.png")
    assert watching.failures() == []
    (images / "cut.png").write_bytes(content_of(2)[:90])
    watching.until(lambda stored: watching.failures() == ["cut.png"])
    (images / "cut.png").write_bytes(content_of(2))
    watching.until_stored("slow.png", "cut.png")
    status, out, said = watching.end()
    batches = [json.loads(line) for line in out.splitlines()]
    assert sum(batch["added"] for batch in batches) == 2
    assert status == 0 and "skipped" in said and "Watched for 0 minutes: 2 added" in said


def test_an_empty_folder_and_facts(start, images):
    watching = start("--facts", "--quiet")
    time.sleep(1)
    (images / "a.png").write_bytes(content_of(1))
    watching.until_stored("a.png")
    with lookalike.connect(watching.url) as db:
        deadline = time.monotonic() + LIMIT
        while not db.collection(TABLE).attributes.get([1])[1]:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        assert db.collection(TABLE).attributes.get([1])[1]["width"] == 48
    time.sleep(2)  # of its end nothing is told
    assert watching.end(signal.SIGTERM) == (0, "", "")


@pytest.mark.nightly
def test_killed_at_any_moment_it_goes_on(start, images):
    dice = np.random.default_rng(5)
    for turn in range(3):
        watching = start()
        for i in range(12):
            (images / f"{turn}-{i}.png").write_bytes(content_of(100 * turn + i))
            time.sleep(0.02)
        (images / f"{turn}-0.png").rename(images / f"{turn}-moved.png")
        time.sleep(float(dice.uniform(1, 5)))
        os.killpg(watching.process.pid, signal.SIGKILL)
        watching.process.wait(LIMIT)
    watching = start().until_begun()
    names = [path.name for path in images.iterdir()]
    watching.until(lambda stored: set(names) <= set(stored))
    assert watching.end()[0] == 0
    with lookalike.connect(watching.url) as db:
        assert db.collection(TABLE).index.check().is_consistent
        ids = db.rows(f"SELECT COUNT(*), COUNT(DISTINCT path) FROM {TABLE}_files")[1]
    assert ids[0][0] == ids[0][1]


@pytest.fixture
def mortal(installed_mysqld):
    with mortal_server(installed_mysqld) as server:
        yield server


@pytest.mark.slow
def test_a_database_that_goes_away_is_waited_for(start, images, mortal):
    (images / "a.png").write_bytes(content_of(1))
    url = mortal.new_database()
    watching = start(LOOKALIKE_DATABASE=url)
    watching.url = url
    watching.until_stored("a.png")
    mortal.kill()
    (images / "b.png").write_bytes(content_of(2))
    time.sleep(3)
    assert watching.process.poll() is None
    mortal.start()
    watching.until_stored("a.png", "b.png")
    assert watching.end()[0] == 0


def test_a_folder_that_goes_away_ends_it(start, images):
    (images / "a.png").write_bytes(content_of(1))
    watching = start()
    watching.until_stored("a.png")
    shutil.rmtree(images)
    status, _, said = watching.ended()
    assert status == 2
    assert f"Error: {images} is gone; watch it again when it is back" in said
    assert watching.stored() == {"a.png": 1}


def test_what_cannot_be_watched_is_refused(run, tmp_path):
    (tmp_path / "a.png").write_bytes(content_of(1))
    done = run("watch", "a.png", status=2)
    assert done.stderr == (
        "Error: a.png is not a folder: name one to watch, or add a file with `add`\n"
    )
    assert "--location needs --facts" in run("watch", ".", "--location", status=2).stderr


def test_without_the_extra_the_command_is_named(run, tmp_path):
    (tmp_path / "none/watchfiles").mkdir(parents=True)
    hidden = "import importlib.util as u; f = u.find_spec\n"
    hidden += "u.find_spec = lambda name, *a: None if name == 'watchfiles' else f(name, *a)\n"
    (tmp_path / "none/sitecustomize.py").write_text(hidden)
    path = os.pathsep.join([str(tmp_path / "none"), os.environ.get("PYTHONPATH", "")])
    done = run("watch", ".", status=2, PYTHONPATH=path)
    assert done.stderr.startswith("Error: lookalike watch needs an extra: ")
    assert "-m pip install" in done.stderr and "[watch]" in done.stderr
