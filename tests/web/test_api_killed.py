"""A server that is killed amid uploads leaves nothing half written; the next one finishes."""

import hashlib
import os
import random
import threading
import time
from contextlib import suppress
from itertools import count
from pathlib import Path

import httpx
import pytest

import lookalike
from tests.conftest import new_database
from tests.web.pictures import jpeg
from tests.web.serving import serving

pytestmark = pytest.mark.nightly

ROUNDS = int(os.environ.get("LOOKALIKE_KILLS", "4"))
CLIENTS = 6
RECOVERY_SECONDS = 60


class Uploading(threading.Thread):
    """Uploads new pictures until the server is gone."""

    def __init__(self, served, seeds, sent, answered):
        super().__init__()
        self._served, self._seeds = served, seeds
        self._sent, self._answered = sent, answered

    def run(self):
        with suppress(httpx.HTTPError), self._served.client() as client:
            for seed in self._seeds:
                content = jpeg(seed)
                self._sent[hashlib.sha256(content).hexdigest()] = seed
                files = {"image": (f"image{seed % 3}.jpg", content)}
                response = client.post("/api/v1/images", files=files)
                assert response.status_code == 201, response.text
                self._answered[response.json()["images"][0]["id"]] = content


def files_below(folder):
    return [
        path
        for path in folder.rglob("*")
        if path.is_file() and ".incoming" not in path.relative_to(folder).parts
    ]


def check(url, uploads, sent, answered):
    """Check the files and the rows; return the files without a row."""
    files = files_below(uploads)
    for file in files:
        assert hashlib.sha256(file.read_bytes()).hexdigest() in sent, f"{file} is not whole"
    with lookalike.connect(url) as db:
        collection = db.collection()
        if not collection.exists:
            assert not answered
            return set(files)
        ids = [row[0] for row in db.rows("SELECT id FROM image_embeddings")[1]]
        rows = {record.path: record.id for record in collection.records(ids)}
        assert len(rows) == len(ids) == len(collection.get(ids))
        assert collection.index.check().is_consistent
    assert not rows.keys() - set(files), "a row without its file"
    stored = {row_id: path for path, row_id in rows.items()}
    for row_id, content in answered.items():
        assert stored[row_id].read_bytes() == content
    return set(files) - rows.keys()


def test_kill_9_amid_uploads(server, tmp_path):
    sent, answered, chance = {}, {}, random.Random(16)
    seeds = count()
    uploads = tmp_path / "uploads"
    with new_database(server) as url:
        for number in range(ROUNDS):
            with serving(url, tmp_path) as served:
                threads = [Uploading(served, seeds, sent, answered) for _ in range(CLIENTS)]
                for thread in threads:
                    thread.start()
                before = len(answered)
                while number % 3 and len(answered) == before:  # the model is loaded
                    time.sleep(0.01)
                time.sleep(chance.uniform(0.1, 2))
                served.kill()
                for thread in threads:
                    thread.join()
            check(url, uploads.resolve(), sent, answered)
        with serving(url, tmp_path):
            deadline = time.monotonic() + RECOVERY_SECONDS
            while check(url, uploads.resolve(), sent, answered) or len(sessions(uploads)) > 1:
                assert time.monotonic() < deadline, "what was left is not finished"
                time.sleep(0.5)
            assert not list(uploads.rglob("*.part"))
    assert len(answered) > ROUNDS


def sessions(uploads: Path) -> list[Path]:
    return list((uploads / "image_embeddings" / ".incoming").iterdir())
