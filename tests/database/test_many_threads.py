"""Many threads on one database, and connections killed under them: no answer is wrong.

`LOOKALIKE_SECONDS=60` runs them for longer.
"""

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import numpy as np
import pytest

from lookalike import ConnectionFailed, DatabaseError
from tests.one_connection import one_connection

pytestmark = pytest.mark.nightly

SECONDS = float(os.environ.get("LOOKALIKE_SECONDS", "4"))
SEARCHING, ADDING = 32, 4
DIM, ROWS, K = 16, 1500, 5


def vectors(n, seed=0):
    return np.random.default_rng(seed).normal(size=(n, DIM)).astype(np.float32)


def unit(embeddings):
    wide = embeddings.astype(np.float64)
    return wide / np.linalg.norm(wide, axis=-1, keepdims=True)


class Crowd:
    """Threads that do their work over and over until the time is up; the first error is raised."""

    def __init__(self) -> None:
        self._end = time.monotonic() + SECONDS
        self._failed = threading.Event()

    def repeat(self, work, number):
        """Return how often the work was done."""
        rng, done = np.random.default_rng(1000 + number), 0
        try:
            while time.monotonic() < self._end and not self._failed.is_set():
                work(rng, number)
                done += 1
        except BaseException:
            self._failed.set()
            raise
        return done

    def run(self, *jobs):
        """Run (work, threads) jobs side by side; return how often each was done."""
        with ThreadPoolExecutor(sum(threads for _, threads in jobs)) as pool:
            futures = [
                [pool.submit(self.repeat, work, number) for number in range(threads)]
                for work, threads in jobs
            ]
            return [sum(future.result() for future in each) for each in futures]


def test_searches_beside_inserts_into_another_collection(db):
    still, grows = db.collection("still", dim=DIM), db.collection("grows", dim=DIM)
    still.upsert(vectors(ROWS), names=[str(i) for i in range(ROWS)])
    queries = vectors(40, seed=1)
    alone = [[still.search(q, k=K, exact=exact) for q in queries] for exact in (False, True)]

    def search(rng, _):
        number, exact = int(rng.integers(len(queries))), int(rng.integers(2))
        assert still.search(queries[number], k=K, exact=bool(exact)) == alone[exact][number]

    def add(rng, number):
        grows.upsert(vectors(3, int(rng.integers(10**6))), names=[f"{number}"] * 3)

    searched, added = Crowd().run((search, SEARCHING), (add, ADDING))
    assert searched >= SEARCHING and grows.count() == 3 * added > 0
    assert grows.index.check().is_consistent


class Acknowledged:
    """What was added, as far as the database has acknowledged it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: dict[int, np.ndarray] = {}

    def note(self, ids, embeddings):
        with self._lock:
            self._found.update(zip(ids, unit(embeddings), strict=True))

    def now(self):
        with self._lock:
            return list(self._found), np.array(list(self._found.values()))


@pytest.mark.parametrize("kills", [False, True])
def test_searches_see_all_that_was_acknowledged_before(db, database_url, kills):
    own, known = db.collection("own", dim=DIM), Acknowledged()
    first = vectors(ROWS)
    known.note(own.upsert(first, names=["first"] * ROWS), first)
    stop = threading.Event()

    def search(rng, _):
        query = rng.normal(size=DIM).astype(np.float32)
        ids, embeddings = known.now()
        try:
            matches = own.search(query, k=K, exact=True)
        except ConnectionFailed:
            assert kills
            return
        assert len({match.id for match in matches}) == K
        expected = dict(zip(ids, embeddings @ unit(query), strict=True))
        for match in matches:
            if match.id in expected:
                assert match.similarity == pytest.approx(expected[match.id], abs=1e-5)
        # Rows that were added meanwhile may come before them, and push out as many.
        best = sorted(expected.values(), reverse=True)[:K]
        found = [match.similarity for match in matches]
        assert all(mine >= its - 1e-5 for mine, its in zip(found, best, strict=True))

    def add(rng, number):
        new = vectors(2, int(rng.integers(10**6)))
        try:
            ids = own.upsert(new, names=[str(number)] * 2)
        except ConnectionFailed:
            assert kills
            return
        known.note(ids, new)

    def kill():
        name = db.connection.url.database
        with one_connection(database_url.replace(name, "mysql")) as killer:
            dice = np.random.default_rng(5)
            query = f"SELECT id FROM information_schema.processlist WHERE db = '{name}'"
            while not stop.wait(0.05):
                if there := [row[0] for row in killer.rows(query)]:
                    with suppress(DatabaseError):
                        killer.rows(f"KILL {dice.choice(there)}")

    killing = threading.Thread(target=kill)
    if kills:
        killing.start()
    try:
        searched, added = Crowd().run((search, SEARCHING), (add, ADDING))
    finally:
        stop.set()
        if kills:
            killing.join()
    ids, _ = known.now()
    stored = {row[0] for row in db.rows("SELECT id FROM own")[1]}
    assert set(ids) <= stored and (kills or set(ids) == stored)
    assert searched >= SEARCHING and added >= ADDING
    own.index.build()
    assert own.index.check().is_consistent
