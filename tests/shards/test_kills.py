"""A head or a shard that is killed while images are added, again and again."""

import random
import threading
import time

import numpy as np
import pytest

import lookalike
from lookalike.add.ingest import IngestOptions
from lookalike.collection import adding
from lookalike.images.walk import ImageWalk
from tests.colours import Colours, paint_many
from tests.shards.conftest import SHARDS

pytestmark = pytest.mark.nightly
KILLS = 5


@pytest.mark.parametrize("victim", ["head", "shard2"])
def test_a_run_goes_on_through_kills_and_loses_nothing(servers, db, tmp_path, victim):
    paint_many(tmp_path, 400)
    server = servers.head if victim == "head" else servers.shards[victim]
    done = threading.Event()
    times = random.Random(7)

    def kill() -> None:
        for _ in range(KILLS):
            time.sleep(times.uniform(0.3, 1.5))
            if done.is_set():
                return
            kills.append(server.kill())
            server.start()

    kills: list[None] = []
    killer = threading.Thread(target=kill)
    model = Colours(meanwhile=lambda: time.sleep(0.25))
    colours = db.collection("colours", model=model, shards=SHARDS)
    killer.start()
    try:
        report = add(colours, tmp_path)
    finally:
        done.set()
        killer.join()
    assert len(kills) >= 3 and not report.failed
    paths = [row[0] for row in db.rows("SELECT path FROM colours_files")[1]]
    assert sorted(paths) == sorted(map(str, tmp_path.iterdir()))
    assert again(db, tmp_path) == (0, 400)
    ids = {row[0] for row in db.rows("SELECT id FROM colours")[1]}
    assert ids == {row[0] for row in db.rows("SELECT id FROM colours_files")[1]}
    assert db.rows("SELECT COUNT(*) FROM colours_unsettled")[1] == [(0,)]


def add(colours, folder):
    return adding.add(
        colours._state,
        ImageWalk([folder]),
        IngestOptions(batch_size=8, write_images=8),
        prune=False,
        kind=None,
        progress=lambda done, total: None,
    )


def again(db, folder) -> tuple[int, int]:
    report = db.collection("colours", model=Colours()).add(folder)
    return report.added, report.unchanged


def test_what_upsert_has_returned_stays(servers, db):
    shapes = db.collection("shapes", dim=8, shards=SHARDS)
    stored: dict[int, np.ndarray] = {}
    rng, times = np.random.default_rng(1), random.Random(3)
    for _ in range(KILLS):
        end = threading.Timer(times.uniform(0.2, 1.2), servers.head.kill)
        end.start()
        try:
            while True:
                given = rng.normal(size=(12, 8)).astype(np.float32)
                stored |= dict(zip(shapes.upsert(given), given, strict=True))
        except lookalike.DatabaseError:
            end.join()
            servers.head.start()
    last = rng.normal(size=(1, 8)).astype(np.float32)
    stored |= {shapes.upsert(last)[0]: last[0]}  # settles what was left
    items = shapes.get(sorted(stored), include=["embedding"])
    assert [item.id for item in items] == sorted(stored)
    assert all(np.array_equal(item.embedding, stored[item.id]) for item in items)
    # What was committed as the head was killed is there as a whole, or not at all.
    assert (shapes.status().rows - len(stored)) % 12 == 0
