"""The client, the server or both killed at any moment: nothing is half done, twice or lost."""

import hashlib
import os
import random
import signal
import subprocess
import sys
import time
from collections import defaultdict
from io import BytesIO
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

import lookalike
from lookalike.images.decode import open_image
from tests.mortal_server import MortalServer, mortal_server

pytestmark = pytest.mark.slow

TABLE = "image_embeddings"
CONTENTS, FILES = 80, 240

# As `lookalike add` does, but in small transactions.
ADD = """
import sys, lookalike
from lookalike.add.ingest import IngestOptions
from lookalike.collection import adding
from lookalike.images.walk import ImageWalk

folder, url, prune = sys.argv[1:]
try:
    with lookalike.connect(url) as db:
        state = db.collection(model="efficientnet-lite2")._state
        report = adding.add(
            state,
            ImageWalk([folder]),
            IngestOptions(batch_size=4, write_images=4),
            prune=prune == "prune",
            progress=lambda done, total: None,
        )
except lookalike.LookalikeError as error:
    print(error)
    sys.exit(2)
sys.exit(1 if report.failed else 0)
"""


@pytest.fixture(scope="module")
def mortal(installed_mysqld):
    with mortal_server(installed_mysqld) as server:
        yield server


@pytest.fixture(scope="module")
def embeddings(embedded_model):
    """{the bytes of a small image: its embedding}"""
    contents = [paint(seed) for seed in range(CONTENTS)]
    found = embedded_model.embed_images([open_image(content) for content in contents])
    return dict(zip(contents, found, strict=True))


def paint(seed):
    squares = np.random.default_rng(seed).integers(0, 256, (3, 3, 3), np.uint8)
    file = BytesIO()
    Image.fromarray(squares).resize((24, 24), Image.Resampling.NEAREST).save(file, "PNG")
    return file.getvalue()


def digest_of(content):
    return hashlib.sha256(content).digest()


class Images:
    """A folder of small images, many of them copies, and some files that are none."""

    def __init__(self, folder: Path, embeddings: dict[bytes, np.ndarray]) -> None:
        self.folder = folder
        self._contents = list(embeddings)
        self.embeddings = {digest_of(content): e for content, e in embeddings.items()}
        self.ever: dict[str, set[bytes]] = defaultdict(set)
        """The hashes of all that each path has ever held."""
        for i in range(FILES):
            self._write(folder / f"{i % 7}" / f"{i:03}.png", self._contents[i % (CONTENTS // 2)])
        self.broken = {folder / "empty.png", folder / "3/cut.png", folder / "4/list.jpg"}
        for file, size in zip(sorted(self.broken), (50, 9, 0), strict=True):
            file.write_bytes(self._contents[0][:size])

    def _write(self, file: Path, content: bytes) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        self.ever[str(file)].add(digest_of(content))

    def files(self) -> list[Path]:
        return sorted(set(self.folder.rglob("*.png")) - self.broken)

    def stir(self, dice: random.Random) -> None:
        """Change, move and touch some."""
        for file in dice.sample(self.files(), 60):
            match dice.randrange(4):
                case 0 | 1:
                    self._write(file, dice.choice(self._contents))
                case 2:
                    target = file.with_name(f"{file.stem}-{dice.randrange(10)}.png")
                    self._write(target, file.read_bytes())
                    file.unlink()
                case 3:
                    os.utime(file)


@pytest.fixture
def images(tmp_path, embeddings):
    return Images(tmp_path / "images", embeddings)


@pytest.fixture(scope="module")
def duration(mortal, embeddings, tmp_path_factory):
    """How long a run takes that nobody disturbs, in seconds."""
    images = Images(tmp_path_factory.mktemp("images"), embeddings)
    begun, url = time.monotonic(), mortal.new_database()
    assert finish(start(images, url))[0] == 1  # some are broken
    seconds = time.monotonic() - begun
    assert_complete(url, images)
    return seconds


def start(images, url, *, prune=False):
    return subprocess.Popen(
        [sys.executable, "-c", ADD, str(images.folder), url, "prune" if prune else "keep"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(process):
    out, errors = process.communicate(timeout=120)
    assert "Traceback" not in errors, errors
    return process.returncode, out + errors


def kill_client(process: subprocess.Popen, *, group: bool) -> None:
    """Kill the client and, by itself or as a group, see that its children end."""
    client = psutil.Process(process.pid)
    client.suspend()
    children = client.children(recursive=True)
    if group:
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    _, alive = psutil.wait_procs(children, timeout=30)
    assert not alive


def assert_whole(url, images):
    """Each row is right and in the index; return how many there are."""
    with lookalike.connect(url) as db:
        if (f"{TABLE}_files",) not in db.rows("SHOW TABLES")[1]:
            return db.collection(TABLE).count()
        collection = db.collection(TABLE)
        columns = "id, path, content_hash, embedding"
        rows = db.rows(f"SELECT {columns} FROM {TABLE} LEFT JOIN {TABLE}_files USING (id)")[1]
        assert db.rows(f"SELECT COUNT(*) FROM {TABLE}_files")[1] == [(len(rows),)]
        assert len({path for _, path, _, _ in rows}) == len(rows)
        for _, path, digest, embedding in rows:
            assert digest in images.ever[path], path
            assert np.allclose(embedding, images.embeddings[digest], atol=1e-3), path
        assert collection.index.check().is_consistent
        hashes = {row[0]: row[2] for row in rows}
        for row_id, _, digest, embedding in rows[::40]:
            best = collection.search(embedding, k=1)[0]
            assert best.similarity > 0.9999 and hashes[best.id] == digest, row_id
        assert {failure.path for failure in collection.failures()} <= images.broken
    return len(rows)


def assert_complete(url, images):
    assert assert_whole(url, images) == len(images.files())
    with lookalike.connect(url) as db:
        stored = dict(db.rows(f"SELECT path, content_hash FROM {TABLE}_files")[1])
        assert stored == {str(file): digest_of(file.read_bytes()) for file in images.files()}
        assert {each.path for each in db.collection(TABLE).failures()} == images.broken
        assert db.collection(TABLE).status().indexed >= 100


@pytest.mark.parametrize(("victim", "kills"), [("client", 4), ("server", 3), ("both", 4)])
def test_whatever_is_killed_nothing_is_lost(
    mortal: MortalServer, images, duration, victim, kills, request
):
    dice, killed = random.Random(request.node.name), 0  # the same moments each time
    while killed < kills:
        moment = duration * (killed + dice.random()) / kills
        if killed % 2:
            images.stir(dice)
            moment = duration - moment
        else:
            url = mortal.new_database()
        process = start(images, url, prune=bool(killed % 2))
        time.sleep(moment)
        in_time = process.poll() is None
        print(f"kill {killed} after {moment:.3f} of {duration:.3f} s, in time: {in_time}")
        if victim != "client":
            mortal.kill()
        if victim != "server" and in_time:
            kill_client(process, group=bool(killed % 3))
        if victim != "client":
            mortal.start()
        status, said = finish(process)
        if victim == "server":
            # 1 where it meets damaged files for the first time
            assert status in (0, 1) or (status == 2 and "cannot reach" in said), said
        print(f"stored: {assert_whole(url, images)}")
        killed += in_time
        duration *= 1 if in_time else 0.8
    status, said = finish(start(images, url, prune=True))
    assert status in (0, 1), said
    assert_complete(url, images)
