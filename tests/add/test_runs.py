"""Runs: their status, their end, and several at once."""

import gc
import os
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

import lookalike
from lookalike import EmbeddingError, InputError
from lookalike.images.walk import FoundImage, ImageWalk
from tests.add.paints import GREY, counts
from tests.colours import FEW, TABLE, Colours, assert_stored, paint, paint_many
from tests.places import REPO

# What is said of it.


def test_the_status_tells_what_is_stored_and_what_was_done(database_url, colours, folder, model):
    with lookalike.connect(database_url, index_sizes=FEW) as db:
        other = db.collection(TABLE)
        with pytest.raises(InputError, match="no collection 'colours'"):
            other.status()
        (folder / "bad.png").write_text("a shopping list")
        seen = []
        model.meanwhile = lambda: seen.append(other.status())
        colours.add(folder)
        assert seen[0].last_run.ended_at is None and seen[0].last_run.error is None
        (folder / "red.png").rename(folder / "crimson.png")
        paint(folder / "green.png", 0x123456)
        paint(folder / "more.png", 0x654321)
        report = colours.add(folder, prune=True)
        status = other.status()
    assert counts(report) == (1, 1, 0, 3, 0) and report.moved == 1
    assert (status.name, status.rows, status.dim, status.metric) == (TABLE, 6, 3, "cosine")
    assert (status.model, status.failures) == ("mean-colour", 1)
    assert (status.indexed, status.n_cells) == (6, 1)
    last = status.last_run
    # The run counts moved files as unchanged.
    assert (last.added, last.updated, last.reused, last.unchanged, last.removed) == (1, 1, 0, 4, 0)
    assert last.failed == 1 and last.error is None and last.started_at <= last.ended_at


def test_the_status_tells_what_has_cut_a_run_short(colours, folder, model):
    def fail():
        raise EmbeddingError("out of colour")

    colours.add(folder)
    paint_many(folder / "many", 3)
    model.meanwhile = fail
    with pytest.raises(EmbeddingError, match="out of colour"):
        colours.add(folder)
    last = colours.status().last_run
    assert last.ended_at is not None and last.error == "out of colour"
    assert (last.added, last.unchanged) == (0, 5)


def test_an_interrupt_ends_the_run_wherever_it_is(db, colours, folder):
    paint_many(folder / "many", 50)

    def interrupt(done, total):
        """In the writer's thread, when all is embedded and only that thread is waited for."""
        if done == 55:
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
            time.sleep(0.3)

    with pytest.raises(KeyboardInterrupt):
        colours.add(folder, progress=interrupt)
    assert not [t.name for t in threading.enumerate() if t.name.startswith("lookalike")]
    assert colours.status().last_run.error == "interrupted"
    colours.add(folder)
    assert_stored(db, folder)


@pytest.mark.slow
def test_files_are_not_kept_in_memory(tmp_path):
    for sub in ("a", "b", "c"):
        (tmp_path / sub).mkdir()
        for i in range(300):
            (tmp_path / sub / f"{i}.png").touch()
    before, most = in_memory(FoundImage), 0
    for i, _ in enumerate(ImageWalk([tmp_path])):
        if i % 200 == 0:
            most = max(most, in_memory(FoundImage))
    assert i == 899 and most <= before + 2


def in_memory(kind: type) -> int:
    """How many objects of a class there are, also those that other tests have left."""
    return sum(type(each) is kind for each in gc.get_objects())


# Others at work on the same files.

ADD = """
import sys, lookalike
from tests.colours import FEW, TABLE, Colours
with lookalike.connect(sys.argv[1], index_sizes=FEW) as db:
    print("ready", flush=True)
    sys.stdin.readline()
    report = db.collection(TABLE, model=Colours()).add(*sys.argv[2:], batch_size=4)
    print(report.added + report.reused, report.updated, len(report.failed))
"""


def add_in_processes(url, *runs):
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", ADD, url, *map(str, folders)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=REPO,
        )
        for folders in runs
    ]
    for process in processes:
        assert process.stdout.readline() == "ready\n", process.stderr.read()
    ends = [process.communicate("go\n", timeout=60) for process in processes]
    assert [errors for _, errors in ends] == [""] * len(runs)
    return np.array([[int(n) for n in out.split()] for out, _ in ends]).sum(axis=0).tolist()


def add_in_threads(url, *runs):
    done = []

    def add(folders):
        with lookalike.connect(url, index_sizes=FEW) as db:
            start.wait()
            done.append(db.collection(TABLE, model=Colours()).add(*folders, batch_size=4))

    start = threading.Barrier(len(runs))
    threads = [threading.Thread(target=add, args=(folders,)) for folders in runs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(done) == len(runs)
    sums = [(r.added + r.reused, r.updated, len(r.failed)) for r in done]
    return np.array(sums).sum(axis=0).tolist()


@pytest.mark.parametrize("add", [add_in_threads, add_in_processes])
def test_several_adds_at_once_store_each_image_once(db, database_url, tmp_path, add):
    folder = tmp_path / "images"
    paint_many(folder, 30)
    paint_many(folder / "sub", 40, first=20)  # ten of them copies
    paint_many(folder / "sub/sub", 20, first=100)
    runs = [(folder,), (folder / "sub", folder), (folder / "sub",)]
    assert add(database_url, *runs) == [90, 0, 0]
    assert_stored(db, folder)
    paint_many(folder / "more", 20, first=200)
    for i in range(15):
        paint(folder / f"sub/{20 + 2 * i:05}.png", GREY + i)  # changed
        os.utime(folder / f"{i:05}.png", ns=(i, i))  # touched
    added, updated, _ = add(database_url, *runs)
    assert added == 20 and 15 <= updated <= 45
    assert_stored(db, folder)
