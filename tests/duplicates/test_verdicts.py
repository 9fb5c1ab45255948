"""Verdicts on pairs of pictures: kept in the cache folder, never stale, worth nothing when lost."""

import hashlib
import subprocess
import sys

import numpy as np
import pytest

from lookalike.duplicates import hashes, verdicts
from lookalike.duplicates.hashes import confirmed
from lookalike.duplicates.pictures import read_images
from lookalike.duplicates.verdicts import MOST_KEPT, UNKNOWN, Verdicts
from lookalike.duplicates.workers import workers
from tests.duplicates.cats import CATS, by_name

CONTENTS = [hashlib.sha256(bytes([n])).digest() for n in range(40)]
FIRST, SECOND = np.arange(20), np.arange(20) + 20
HOW = (np.arange(20) % 4).astype(np.int8)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    """A cache folder of the test's own."""
    folder = tmp_path / "cache"
    monkeypatch.setenv("LOOKALIKE_CACHE", str(folder))
    return folder


def learn(how=HOW, orientations="auto", part=slice(None), most=MOST_KEPT):
    new = Verdicts(CONTENTS, orientations)
    new.learn(FIRST[part], SECOND[part], how[part])
    new.keep(most)


def known(orientations="auto", contents=CONTENTS):
    return Verdicts(contents, orientations).known(FIRST, SECOND)


def test_what_was_learned_is_known_again():
    assert (known() == UNKNOWN).all()
    learn()
    assert (known() == HOW).all()
    assert (known("all") == UNKNOWN).all()
    # They belong to the bytes, not to numbers, and to their order.
    turned = CONTENTS[::-1]
    found = Verdicts(turned, "auto").known(39 - FIRST, 39 - SECOND)
    assert (found == HOW).all() and (known(contents=turned) == UNKNOWN).all()


def test_runs_add_to_one_another():
    one, other = Verdicts(CONTENTS, "auto"), Verdicts(CONTENTS, "auto")
    one.learn(FIRST[:10], SECOND[:10], HOW[:10])
    other.learn(FIRST[10:], SECOND[10:], HOW[10:])
    one.keep()
    other.keep()
    assert (known() == HOW).all()
    learn(part=slice(5), most=15)  # the last used stay
    assert (known()[:5] == HOW[:5]).all() and (known() == UNKNOWN).sum() == 5


def test_another_program_knows_nothing_of_it(monkeypatch):
    learn()
    monkeypatch.setattr(verdicts, "_program", lambda: b"another program".ljust(32))
    assert (known() == UNKNOWN).all()
    learn(part=slice(3))
    assert (known() == UNKNOWN).sum() == 17


@pytest.mark.parametrize("harm", ["cut", "bit", "empty", "longer", "folder"])
def test_a_damaged_cache_is_made_again(cache, harm):
    learn()
    (file,) = cache.iterdir()
    content = file.read_bytes()
    if harm == "folder":
        file.unlink()
        file.mkdir()
    else:
        flipped = content[:-1] + bytes([content[-1] ^ 1])
        damaged = {"cut": content[:-5], "bit": flipped, "empty": b"", "longer": content + b"x"}
        file.write_bytes(damaged[harm])
    assert (known() == UNKNOWN).all()
    learn()
    if harm != "folder":
        assert (known() == HOW).all()


def test_what_cannot_be_written_is_no_error(cache):
    cache.write_text("a file")
    learn()
    assert (known() == UNKNOWN).all()


def test_processes_that_write_at_once_leave_a_whole_file(cache):
    program = (
        "import sys; import numpy as np; from lookalike.duplicates.verdicts import Verdicts\n"
        "contents = [bytes([n]) * 32 for n in range(200)]\n"
        "which = int(sys.argv[1])\n"
        "for turn in range(20):\n"
        "    new = Verdicts(contents, 'auto'); place = np.array([which * 20 + turn])\n"
        "    new.learn(place, place + 100, np.array([3], np.int8)); new.keep()\n"
    )
    crew = [subprocess.Popen([sys.executable, "-c", program, str(n)]) for n in range(3)]
    assert [process.wait(60) for process in crew] == [0, 0, 0]
    places = np.arange(60)
    found = Verdicts([bytes([n]) * 32 for n in range(200)], "auto").known(places, places + 100)
    assert set(found.tolist()) <= {3, UNKNOWN} and (found == 3).any()
    assert len(list(cache.iterdir())) == 1


# In the search for duplicates.


@pytest.fixture
def compared(monkeypatch):
    """The number of pairs in each comparison."""
    counts, how = [], hashes.Comparison.how

    def counted(comparison, table, one, other):
        counts.append(len(one))
        return how(comparison, table, one, other)

    monkeypatch.setattr(hashes.Comparison, "how", counted)
    return counts


def test_unchanged_pictures_are_not_compared_again(collection, folder, compared):
    first = collection.duplicates.find()
    assert sum(compared) > 0
    compared.clear()
    assert collection.duplicates.find() == first and compared == []
    (folder / "cat-small.jpg").unlink()
    (folder / "rocket-copy.jpg").rename(folder / "other.jpg")
    collection.add(folder, prune=True)
    left = {name: tier for name, tier in CATS.items() if name != "cat-small.jpg"}
    assert by_name(collection.duplicates.find(), folder)["cat.jpg"] == left
    assert compared == []
    collection.duplicates.find(orientations="upright")
    assert sum(compared) > 0


def test_other_bytes_are_compared_anew(collection, folder, photos, compared):
    collection.duplicates.find()
    (folder / "cat-small.jpg").write_bytes((photos / "moose.webp").read_bytes())
    collection.add(folder)
    others = {name: tier for name, tier in CATS.items() if name != "cat-small.jpg"}
    assert by_name(collection.duplicates.find(), folder)["cat.jpg"] == others


def test_a_run_that_is_stopped_keeps_what_it_has_found(collection, compared):
    collection.duplicates.find(tier="identical")  # makes the thumbnails
    table = collection._state.table
    images = read_images(table)
    pairs = np.triu_indices(len(images.first), 1)

    def stop(done, total):
        if done == 2:
            raise KeyboardInterrupt

    def confirm(progress):
        with workers() as crew:
            confirmed(
                table, images, *pairs, crew, orientations="auto", progress=progress, at_once=1
            )

    with pytest.raises(KeyboardInterrupt):
        confirm(stop)
    compared.clear()
    confirm(lambda done, total: None)
    assert len(compared) == len(pairs[0]) - 2 > 0
