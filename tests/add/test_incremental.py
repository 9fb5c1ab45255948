"""Adding again: what has changed since, what is gone, what has failed, and who else is at work."""

import errno
import gc
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import lookalike
from lookalike import EmbeddingError, InputError
from lookalike.add import ingest as run
from lookalike.add import scanner
from lookalike.images.walk import FoundImage, ImageWalk
from lookalike.index import training
from tests.colours import TABLE, Colours, assert_stored, paint, paint_many
from tests.places import REPO

RED, GREEN, BLUE, GREY = 0xFF0000, 0x00FF00, 0x0000FF, 0x808080


@pytest.fixture(autouse=True)
def few_rows(monkeypatch):
    """An index from 4 rows on, and one process that decodes: there are few images."""
    monkeypatch.setattr(training, "FEWEST_ROWS", 4)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: {0})


@pytest.fixture
def model():
    return Colours()


@pytest.fixture
def notices():
    return []


@pytest.fixture
def colours(database_url, model, notices):
    with lookalike.connect(database_url, notify=notices.append) as db:
        yield db.collection(TABLE, model=model)


@pytest.fixture
def folder(tmp_path):
    """Five images, two of them in folders of their own."""
    paint(tmp_path / "images/red.png", RED)
    paint(tmp_path / "images/green.png", GREEN)
    paint(tmp_path / "images/blue.png", BLUE)
    paint(tmp_path / "images/deep/grey.png", GREY)
    paint(tmp_path / "images/far/white.png", 0xFFFFFF)
    return tmp_path / "images"


def stored(db):
    """{path: (id, size, mtime_ns)}"""
    return {
        row[0]: row[1:] for row in db.rows(f"SELECT path, id, size, mtime_ns FROM {TABLE}_files")[1]
    }


def counts(report):
    return report.added, report.updated, report.reused, report.unchanged, report.removed


# Renamed, moved, copied.


def test_renamed_moved_and_copied_files_are_not_embedded_again(db, colours, folder, model):
    colours.add(folder)
    (folder / "red.png").rename(folder / "crimson.png")
    (folder / "green.png").rename(folder / "deep" / "green.png")
    shutil.copy(folder / "blue.png", folder / "blue again.png")
    report = colours.add(folder)
    assert counts(report) == (0, 0, 1, 3, 0) and report.moved == 2 and model.count == 5
    for names in (["crimson.png"], ["deep/green.png"], ["blue again.png", "blue.png"]):
        for query in names:
            found = colours.search(query, k=len(names), exclude_self=False)
            assert sorted(match.image_name for match in found) == names
            assert [match.similarity for match in found] == pytest.approx([1] * len(names))
    assert counts(colours.add(folder, prune=True)) == (0, 0, 0, 6, 0)
    assert_stored(db, folder)


def test_copies_within_a_run_are_embedded_once(db, colours, tmp_path, model, monkeypatch):
    monkeypatch.setattr(run, "SCAN_FILES", 20)  # so that few files come at all distances
    rng = np.random.default_rng(0)
    for i, colour in enumerate(rng.permutation(np.repeat(np.arange(150), 3))):
        paint(tmp_path / f"{i:03}.png", colour * 7919 + 1)
    report = colours.add(tmp_path, batch_size=4)
    assert model.count == 150
    assert (report.added, report.reused) == (150, 300)
    assert_stored(db, tmp_path)


def test_a_copy_of_an_image_whose_row_is_deleted_is_embedded(db, colours, folder, model):
    colours.add(folder)
    (folder / "red.png").rename(folder / "crimson.png")
    assert colours.remove("red.png") == 1
    assert counts(colours.add(folder)) == (1, 0, 0, 4, 0) and model.count == 6
    assert_stored(db, folder)


# Changed, touched.


def test_a_changed_file_is_embedded_and_a_touched_one_is_not(
    db, colours, folder, model, monkeypatch
):
    colours.add(folder)
    before = stored(db)
    paint(folder / "red.png", 0x123456)
    os.utime(folder / "green.png", ns=(1, 1))
    assert counts(colours.add(folder)) == (0, 1, 0, 4, 0) and model.count == 6
    assert_stored(db, folder)  # with the new times
    assert {path: row[0] for path, row in stored(db).items()} == {
        path: row[0] for path, row in before.items()
    }

    def refuse(path):
        raise AssertionError(f"{path} was read")

    monkeypatch.setattr(scanner, "content_hash", refuse)
    assert colours.add(folder).unchanged == 5


def test_a_file_that_takes_anothers_bytes_takes_its_embedding(db, colours, folder, model):
    colours.add(folder)
    shutil.copy(folder / "blue.png", folder / "red.png")
    assert counts(colours.add(folder)) == (0, 1, 0, 4, 0) and model.count == 5
    assert_stored(db, folder)


def test_a_touch_does_not_undo_another_runs_change(db, database_url, colours, folder, model):
    colours.add(folder)
    os.utime(folder / "red.png", ns=(1, 1))

    def change_first(statement):
        if "UPDATE" in statement.sql and "_files" in statement.sql and model.count == 5:
            paint(folder / "red.png", GREY + 1)
            colours.add(folder)

    with lookalike.connect(database_url, tracer=change_first) as other:
        other.collection(TABLE, model=model).add(folder)
    assert model.count == 6
    paint(folder / "red again.png", RED)
    colours.add(folder)
    assert_stored(db, folder)


# Gone.


def test_pruning_keeps_to_the_folders_given_and_tells_first(db, colours, folder, notices):
    colours.add(folder)
    paint(folder / "deep/more.png", 0x13579B)
    for gone in ("red.png", "deep/grey.png", "far/white.png"):
        (folder / gone).unlink()
    paint(folder / "far/black.png", 0)
    assert colours.add(folder / "far", folder / "blue.png").removed == 0
    assert colours.add(folder / "blue.png", str(folder / "*.png"), prune=True).removed == 0
    assert colours.count() == 6 and not any("gone" in line for line in notices)
    assert colours.add(folder / "far", folder / "blue.png", prune=True).removed == 1
    assert notices[-1] == "Removing 1 image whose file is gone."
    assert colours.add(folder, prune=True).removed == 2
    assert notices[-1] == "Removing 2 images whose files are gone."
    assert_stored(db, folder)


def test_a_folder_that_is_gone_or_now_a_file_is_pruned(db, colours, folder):
    colours.add(folder)
    shutil.rmtree(folder / "deep")
    shutil.rmtree(folder / "far")
    (folder / "far").write_text("a file now")
    assert colours.add(folder, prune=True).removed == 2
    assert_stored(db, folder)


def vanish(folder):
    folder.rename(folder.with_name("elsewhere"))


def give_way(folder):
    vanish(folder)
    paint(folder / "new.png", RED)


@pytest.mark.parametrize("happen", [vanish, give_way])
def test_a_folder_that_goes_during_the_run_prunes_nothing(colours, folder, model, notices, happen):
    colours.add(folder)
    (folder / "red.png").unlink()
    paint(folder / "new.png", 0x123456)
    model.meanwhile = lambda: happen(folder)
    assert colours.add(folder, prune=True).removed == 0
    assert f"Pruning nothing: {folder} is not the folder that it was a moment ago." in notices
    assert colours.count() == 6


def test_a_folder_that_goes_before_the_run_prunes_nothing(colours, folder, notices, monkeypatch):
    usb = paint(folder.parent / "usb/1.png", 0x111111).parent
    colours.add(folder, usb)
    look, looks = ImageWalk.__init__, []

    def unplug(walk, *args, **kwargs):
        look(walk, *args, **kwargs)
        looks.append(1)
        shutil.rmtree(usb)

    monkeypatch.setattr(ImageWalk, "__init__", unplug)
    assert colours.add(folder, usb, prune=True).removed == 0
    assert looks == [1] and colours.count() == 6
    assert f"Pruning nothing: {usb} is not the folder that it was a moment ago." in notices


def test_what_is_stored_of_an_emptied_folder_is_kept(colours, folder, notices):
    colours.add(folder)
    (folder / "deep/grey.png").unlink()
    (folder / "far/white.png").unlink()
    (folder / "far/.keep").touch()
    assert colours.add(folder, prune=True).removed == 1
    assert any(f"Keeping the rows of {folder / 'deep'}, which is" in line for line in notices)
    shutil.rmtree(folder)
    folder.mkdir()
    with pytest.raises(InputError, match="no images in"):
        colours.add(folder, prune=True)
    other = paint(folder.parent / "other/1.png", GREY).parent
    assert colours.add(folder, other, prune=True).removed == 0
    assert colours.count() == 5


@pytest.mark.parametrize(
    ("module", "call", "code"),
    [(Path, "lstat", errno.ESTALE), (os, "scandir", errno.EACCES), (os, "scandir", errno.EIO)],
)
def test_where_a_folder_cannot_be_read_nothing_is_pruned(
    colours, folder, notices, monkeypatch, module, call, code
):
    colours.add(folder)
    (folder / "red.png").unlink()
    (folder / "deep/grey.png").unlink()
    refuse_in(folder / "deep", module, call, code, monkeypatch)
    assert colours.add(folder, prune=True).removed == 0 and colours.count() == 5
    (told,) = [line for line in notices if line.startswith("Pruning nothing: ")]
    assert str(folder / "deep") in told and os.strerror(code) in told


def test_rows_of_a_folder_without_permission_are_kept(colours, folder, monkeypatch):
    colours.add(folder)
    (folder / "red.png").unlink()
    (folder / "deep/grey.png").unlink()
    refuse_in(folder / "deep", Path, "lstat", errno.EACCES, monkeypatch)
    assert colours.add(folder, prune=True).removed == 1 and colours.count() == 4
    assert [match.image_name for match in colours.search("deep/grey.png", exclude_self=False)]


def refuse_in(folder, module, call, code, monkeypatch):
    """Let a call fail for a folder and what is in it."""
    real = getattr(module, call)

    def refuse(path):
        if folder in (Path(path), Path(path).parent):
            raise OSError(code, os.strerror(code))
        return real(path)

    monkeypatch.setattr(module, call, refuse)


def test_a_link_that_leads_nowhere_is_not_gone(colours, folder, tmp_path):
    target = paint(tmp_path / "target.png", GREY + 1)
    (folder / "link.png").symlink_to(target)
    colours.add(folder)
    target.unlink()
    assert colours.add(folder, prune=True).removed == 0 and colours.count() == 6
    (folder / "link.png").unlink()
    assert colours.add(folder, prune=True).removed == 1


# Removed.


def test_rows_are_removed_by_id_path_folder_and_name(db, colours, folder, tmp_path, monkeypatch):
    many = paint_many(folder / "many", 12)
    paint_many(folder / "many%", 2, first=20)
    colours.add(folder)
    ids = {path: row[0] for path, row in stored(db).items()}
    assert colours.status().indexed == 19
    monkeypatch.chdir(folder / "many")
    (tmp_path / "link").symlink_to(folder / "deep", target_is_directory=True)
    shutil.rmtree(folder / "far")
    steps = [
        ((ids[str(many[0])], str(ids[str(many[1])])), 2),
        ((str(many[2]), many[3]), 2),
        ((Path("00004.png"), "00005.png", "../many%/../many/00006.png"), 3),
        (("red.png", Path("../blue.png")), 2),
        ((folder / "far",), 1),
        ((tmp_path / "link",), 1),
        (("../many", Path(), many[7]), 5),
        (("..",), 3),
    ]
    left = 19
    for targets, removed in steps:
        assert colours.remove(*targets) == removed, targets
        left -= removed
        assert colours.count() == left and colours.index.check().is_consistent
        assert len(stored(db)) == left


@pytest.mark.parametrize(
    "unknown",
    [
        *("nowhere.png", "/nowhere", Path("/nowhere"), 77, "77", "deep"),
        *("", "x" * 300, Path("nowhere\udce9")),
    ],
)
def test_an_unknown_target_removes_nothing(db, colours, folder, unknown, monkeypatch):
    colours.add(folder)
    monkeypatch.chdir(folder / "far")  # which is what an empty path would mean
    with pytest.raises(InputError, match="nowhere|77|deep|empty|xxx"):
        colours.remove("red.png", folder / "deep", unknown)
    assert_stored(db, folder)


def test_rows_without_files_are_removed_by_id_and_name(db, folder):
    db.rows(f"CREATE TABLE {TABLE} (id INT PRIMARY KEY, image_name TEXT, embedding VECTOR(3))")
    for i, name in enumerate(("a", "b", "c"), 1):
        db.rows(f"INSERT INTO {TABLE} VALUES (%s, %s, %s)", (i, name, np.ones(3)))
    colours = db.collection(TABLE)
    for unknown in (folder, "d", 4):
        with pytest.raises(InputError):
            colours.remove("a", unknown)
    assert colours.remove("a", 2) == 2 and colours.index.check().is_consistent
    assert db.rows(f"SELECT id FROM {TABLE}")[1] == [(3,)]
    assert db.rows("SHOW TABLES")[1] == [(TABLE,)]


# Failed.


def failed(collection):
    return {each.path.name: (each.size, each.mtime_ns) for each in collection.failures()}


def test_a_failure_is_left_alone_until_the_file_changes(db, colours, folder):
    bad = folder / "bad.png"
    bad.write_text("a shopping list")
    other = folder / "deep/cut.png"
    other.write_bytes((folder / "red.png").read_bytes()[:40])
    assert {each.path for each in colours.add(folder).failed} == {bad, other}
    stamps = {file.name: (file.stat().st_size, file.stat().st_mtime_ns) for file in (bad, other)}
    assert failed(colours) == stamps

    report = colours.add(folder)
    assert report.failed == () and "decode" not in report.stages
    assert {each.path for each in report.failed_before} == {bad, other}
    assert "not an image" in str(report.failed_before[0])

    bad.write_text("another list")
    report = colours.add(folder)
    assert [each.path for each in report.failed] == [bad]
    assert [each.path for each in report.failed_before] == [other]
    assert failed(colours)["bad.png"] == (bad.stat().st_size, bad.stat().st_mtime_ns)

    assert len(colours.add(folder, retry=True).failed) == 2
    paint(bad, GREY + 1)
    paint(other, GREY)
    assert counts(colours.add(folder)) == (1, 0, 1, 5, 0)
    assert colours.failures() == []
    assert_stored(db, folder)


def test_failures_of_files_that_are_gone_are_pruned(db, colours, folder, tmp_path):
    for file in (folder / "bad.png", folder / "deep/bad.png", tmp_path / "bad.png"):
        file.write_text("a shopping list")
    colours.add(folder, tmp_path / "bad.png")
    (folder / "bad.png").unlink()
    (tmp_path / "bad.png").unlink()
    colours.add(folder)
    assert len(colours.failures()) == 3
    colours.add(folder, prune=True)
    assert {each.path for each in colours.failures()} == {
        folder / "deep/bad.png",
        tmp_path / "bad.png",
    }


def test_a_file_out_of_reach_is_tried_again(db, colours, folder, model):
    last = paint_many(folder / "zoo", 100)[-1]
    model.meanwhile = lambda: last.unlink(missing_ok=True)
    report = colours.add(folder, batch_size=1)
    assert [each.path for each in report.failed] == [last] and report.added == 104
    assert failed(colours) == {last.name: (None, None)}
    model.meanwhile = lambda: None
    paint_many(folder / "zoo", 100)
    assert counts(colours.add(folder)) == (1, 0, 0, 104, 0) and colours.failures() == []
    assert_stored(db, folder)


def test_a_stored_image_that_is_damaged_keeps_its_row(db, colours, folder):
    colours.add(folder)
    before = stored(db)
    (folder / "red.png").write_text("a shopping list")
    assert len(colours.add(folder).failed) == 1
    assert len(colours.add(folder).failed_before) == 1
    assert stored(db) == before
    assert colours.search(np.array([256, 1, 1]), k=1)[0].image_name == "red.png"
    paint(folder / "red.png", RED)
    assert counts(colours.add(folder)) == (0, 0, 0, 5, 0) and colours.failures() == []
    assert_stored(db, folder)


def test_an_image_without_an_embedding_is_a_failure(db, colours, folder, model, monkeypatch):
    def some_nan(images, embed=model.embed_images):
        return [v if v.max() < 256 or v.min() > 1 else v * np.nan for v in embed(images)]

    monkeypatch.setattr(model, "embed_images", some_nan)
    report = colours.add(folder)
    assert report.added == 2
    assert {each.path.name for each in report.failed} == {"red.png", "green.png", "blue.png"}
    assert "the model cannot embed it: " in report.failed[0].reason
    assert len(failed(colours)) == 3 and None not in failed(colours)["red.png"]
    assert len(colours.add(folder).failed_before) == 3


def test_what_users_left_out_stays_out(db, colours, folder):
    paint(folder / ".thumbnails/1.png", GREY + 1)
    assert colours.add(folder, exclude=["deep/", "r*.png"]).added == 3
    assert colours.add(folder, hidden=True, exclude=["/deep", "!far"]).added == 2
    assert {Path(path).name for path in stored(db)} == {"green.png", "blue.png", "white.png"} | {
        "red.png",
        "1.png",
    }


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size is 0; give 1 or more"),
        ({"batch_size": -16}, "batch_size is -16"),
        ({"time_limit": 0}, "time_limit is 0; give more than 0"),
        ({"time_limit": -1.5}, "time_limit is -1.5"),
        ({"time_limit": float("nan")}, "time_limit is nan"),
        ({"patience": -1}, "patience is -1; give 0 seconds or more"),
        ({"patience": float("nan")}, "patience is nan"),
        ({"exclude": ["!"]}, "cannot exclude !"),
    ],
)
def test_options_that_cannot_be_honoured_are_refused(db, colours, folder, options, message):
    with pytest.raises(InputError, match=message):
        colours.add(folder, **options)
    assert db.collections() == []


# What is said of it.


def test_the_status_tells_what_is_stored_and_what_was_done(database_url, colours, folder, model):
    with lookalike.connect(database_url) as db:
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


def test_files_are_not_kept_in_memory(tmp_path):
    for sub in ("a", "b", "c"):
        (tmp_path / sub).mkdir()
        for i in range(300):
            (tmp_path / sub / f"{i}.png").touch()
    most = 0
    for i, _ in enumerate(ImageWalk([tmp_path])):
        if i % 50 == 0:
            most = max(most, sum(type(each) is FoundImage for each in gc.get_objects()))
    assert i == 899 and most <= 2


# Others at work on the same files.

ADD = """
import sys, lookalike
from lookalike.index import training
from tests.colours import TABLE, Colours
training.FEWEST_ROWS = 4
with lookalike.connect(sys.argv[1]) as db:
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
        with lookalike.connect(url) as db:
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
