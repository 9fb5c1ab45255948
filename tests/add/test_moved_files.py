"""A file that was moved keeps its row: id, attributes and decisions; nothing is embedded twice."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

import lookalike
from lookalike import InputError
from lookalike.add.content import NewFile
from lookalike.add.origins import Origins
from lookalike.dialects import StoredFile
from tests.colours import FEW, TABLE, Colours, assert_stored, paint, paint_many


@pytest.fixture
def model():
    return Colours()


@pytest.fixture
def colours(db, model):
    return db.collection(TABLE, model=model)


def rows(db):
    """What is stored of each path: the id and the name."""
    found = db.rows(f"SELECT path, id, image_name FROM {TABLE} JOIN {TABLE}_files USING (id)")[1]
    return {path: (row_id, name) for path, row_id, name in found}


def ids(db):
    return {path: row_id for path, (row_id, _) in rows(db).items()}


def test_a_moved_file_keeps_its_row(db, colours, model, tmp_path):
    images = tmp_path / "images"
    a, b, *_ = paint_many(images, 3)
    colours.add(images)
    colours.attributes.set([{"path": str(a), "who": "Ada"}])
    before, embedded = ids(db), model.count
    colours.duplicates.mark_distinct(before[str(a)], before[str(b)])
    moved = images / "2024" / "new.png"
    moved.parent.mkdir()
    a.rename(moved)
    report = colours.add(images)
    assert (report.moved, report.added, report.reused, report.unchanged) == (1, 0, 0, 2)
    assert report.gone == 0 and model.count == embedded
    assert rows(db)[str(moved)] == (before[str(a)], "2024/new.png")
    assert_stored(db, images)
    found = colours.search(a.parent / "00001.png", where="who=Ada", k=5)
    assert [match.id for match in found] == [before[str(a)]]
    pairs = db.rows("SELECT id, other_id FROM colours_distinct")[1]
    assert pairs == [tuple(sorted((before[str(a)], before[str(b)])))]
    assert colours.add(images).unchanged == 3


def test_a_name_of_the_users_own_stays(db, colours, tmp_path):
    a, b = paint_many(tmp_path / "images", 2)
    colours.add(tmp_path / "images")
    db.rows(f"UPDATE {TABLE} SET image_name = 'Grandmother' WHERE image_name = %s", [a.name])
    a.rename(a.with_name("a.png"))
    b.rename(b.with_name("b.png"))
    colours.add(tmp_path / "images")
    assert {name for _, name in rows(db).values()} == {"Grandmother", "b.png"}


def test_a_folder_that_was_renamed_or_emptied(db, colours, model, tmp_path):
    for folder in ("trip", "inbox", "all"):
        paint_many(tmp_path / "images" / folder, 3, first=len(folder) * 10)
    colours.add(tmp_path / "images")
    before, embedded = ids(db), model.count
    (tmp_path / "images" / "trip").rename(tmp_path / "images" / "voyage")
    (tmp_path / "sorted").mkdir()
    for file in (tmp_path / "images" / "inbox").iterdir():
        file.rename(tmp_path / "sorted" / file.name)
    # The whole folder by another name, and one that was never added, alone.
    (tmp_path / "images").rename(tmp_path / "pictures")
    report = colours.add(tmp_path / "pictures", tmp_path / "sorted")
    assert (report.moved, report.added, report.reused) == (9, 0, 0)
    assert set(ids(db).values()) == set(before.values()) and model.count == embedded
    (tmp_path / "alone").mkdir()
    (tmp_path / "sorted" / "00050.png").rename(tmp_path / "alone" / "x.png")
    assert colours.add(tmp_path / "alone").moved == 1
    assert (
        ids(db)[str(tmp_path / "alone" / "x.png")] == before[f"{tmp_path}/images/inbox/00050.png"]
    )


def test_a_copy_gets_a_row_of_its_own(db, colours, tmp_path):
    (a,) = paint_many(tmp_path / "images", 1)
    colours.add(a.parent)
    shutil.copy2(a, a.with_name("copy.png"))
    os.link(a, a.with_name("A.png"))
    report = colours.add(a.parent)
    assert (report.moved, report.reused, colours.count()) == (0, 2, 3)


def test_of_several_rows_the_one_whose_file_is_gone_moves(db, colours, tmp_path):
    one, two, three = (paint(tmp_path / "images" / f"{n}" / "x.png", 7) for n in (1, 2, 3))
    colours.add(tmp_path / "images")
    before = ids(db)
    two.rename(tmp_path / "images" / "moved.png")
    assert colours.add(tmp_path / "images").moved == 1
    assert ids(db) == {
        str(one): before[str(one)],
        str(three): before[str(three)],
        str(tmp_path / "images" / "moved.png"): before[str(two)],
    }


def test_of_several_new_files_one_is_the_moved_one(db, colours, tmp_path):
    images = tmp_path / "images"
    a, b, c = paint(images / "a.png", 1), paint(images / "b.png", 1), paint(images / "c.png", 2)
    colours.add(images)
    before = ids(db)
    a.unlink()
    b.unlink()
    c.unlink()
    new = [paint(images / "deep" / name, 1) for name in ("0.png", "b.png", "x.png")]
    new += [paint(images / "deep" / f"c{n}.png", 2) for n in (1, 2)]
    report = colours.add(images)
    assert (report.moved, report.reused, report.added, report.gone) == (3, 2, 0, 0)
    after = ids(db)
    assert after[str(new[1])] == before[str(b)]  # by the same name
    assert after[str(new[0])] == before[str(a)]
    assert len(after) == 5
    assert_stored(db, images)


def test_files_that_swap_their_names_swap_their_paths(db, colours, model, tmp_path):
    images = tmp_path / "images"
    a, b = paint(images / "a.png", 1), paint(images / "z" / "b.png", 0xFF00FF)
    paint_many(images / "many", 40)  # so that the two are in different batches
    colours.add(images)
    before, embedded = ids(db), model.count
    a.rename(images / "other")
    b.rename(a)
    (images / "other").rename(b)
    for file, ns in ((a, 10**18), (b, 2 * 10**18)):  # as many file systems round them
        os.utime(file, ns=(ns, ns))
    report = colours.add(images)
    assert (report.moved, report.updated, report.unchanged) == (2, 0, 40)
    assert rows(db)[str(a)] == (before[str(b)], "a.png")
    assert rows(db)[str(b)] == (before[str(a)], "z/b.png")
    assert_stored(db, images)
    assert model.count == embedded


def test_files_that_are_numbered_anew_keep_their_rows(db, colours, tmp_path):
    files = paint_many(tmp_path / "images", 60)
    colours.add(tmp_path / "images")
    before = ids(db)
    for n, file in reversed(list(enumerate(files))):
        new = file.with_name(f"{n + 1:05}.png")
        file.rename(new)
        os.utime(new, ns=(n, n))
    report = colours.add(tmp_path / "images")
    assert (report.moved, report.added, report.reused, report.gone) == (60, 0, 0, 0)
    after = ids(db)
    assert all(
        after[str(tmp_path / "images" / f"{n + 1:05}.png")] == before[str(file)]
        for n, file in enumerate(files)
    )
    assert_stored(db, tmp_path / "images")


def test_an_edited_file_keeps_its_row_and_its_backup_is_a_copy(db, colours, tmp_path):
    a, b, _ = paint_many(tmp_path / "images", 3)
    colours.add(tmp_path / "images")
    before = ids(db)
    a.rename(a.with_name("a~.png"))
    paint(a, 0xABCDEF)
    report = colours.add(tmp_path / "images")
    assert (report.moved, report.updated) == (0, 1)
    assert ids(db)[str(a)] == before[str(a)]
    # One that is moved over another is that one, changed: whose row goes is not for us to say.
    b.rename(a)
    os.utime(a, ns=(5, 5))
    assert colours.gone(tmp_path / "images")[0].path == b
    report = colours.add(tmp_path / "images")
    assert (report.moved, report.updated, report.gone) == (0, 1, 1)
    assert ids(db)[str(a)] == before[str(a)] and ids(db)[str(b)] == before[str(b)]


def test_a_name_in_another_case_is_another_name(db, colours, tmp_path):
    (a,) = paint_many(tmp_path / "images", 1)
    colours.add(a.parent)
    before = ids(db)[str(a)]
    a.rename(a.with_suffix(".PNG"))
    assert colours.add(a.parent).moved == 1
    assert rows(db) == {str(a.with_suffix(".PNG")): (before, "00000.PNG")}


def test_what_was_moved_is_not_pruned(db, colours, tmp_path):
    files = paint_many(tmp_path / "images", 4)
    colours.add(tmp_path / "images")
    before = ids(db)
    files[0].rename(files[0].with_name("moved.png"))
    files[1].unlink()
    assert [record.path for record in colours.gone(tmp_path / "images")] == [files[1]]
    assert ids(db) == before
    report = colours.add(tmp_path / "images", prune=True)
    assert (report.moved, report.removed) == (1, 1)
    assert ids(db)[str(tmp_path / "images" / "moved.png")] == before[str(files[0])]
    assert_stored(db, tmp_path / "images")


def test_a_disk_that_is_not_mounted_keeps_its_rows(db, colours, tmp_path):
    """Its folder is empty, or missing altogether; copies of its files are copies."""
    disk = tmp_path / "mounts" / "disk"
    paint_many(disk / "DCIM", 2)
    paint(disk / "top.png", 0x123456)
    colours.add(disk)
    before = ids(db)
    copies = tmp_path / "home" / "copies"
    shutil.copytree(disk, copies, copy_function=shutil.copyfile)
    for path in (copies / "DCIM" / "00000.png", copies / "DCIM" / "00001.png"):
        os.utime(path, ns=(3, 3))
    disk.rename(tmp_path / "unplugged")
    disk.mkdir()
    report = colours.add(copies)
    assert (report.moved, report.reused) == (0, 3)
    disk.rmdir()
    (tmp_path / "mounts" / "other").mkdir()
    shutil.copytree(copies, tmp_path / "home" / "more")
    assert colours.add(tmp_path / "home" / "more").moved == 0
    (tmp_path / "unplugged").rename(disk)
    assert colours.add(disk).unchanged == 3
    assert {path: ids(db)[path] for path in before} == before


@pytest.fixture
def open_folder():
    """A folder that other users can enter, which those of pytest are not."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder).resolve()


def test_a_folder_that_may_not_be_read_says_nothing(open_folder):
    """Asked as another user where the tests are root's: root may read everything."""
    private, user = open_folder / "private", os.geteuid()
    (a,) = paint_many(private, 1)
    found = open_folder / "found.png"
    a.rename(found)
    row = (b"hash", 1, str(a), 2, 3)
    new = NewFile("found.png", StoredFile(found, b"hash", 2, 3), has_failed=False)
    private.chmod(0)
    try:
        os.seteuid(user or 65534)
        moved, others = Origins(lambda hashes: [row], [open_folder]).find([new], {})
    finally:
        os.seteuid(user)
        private.chmod(0o755)
    assert (moved, others) == ([], [new])
    assert Origins(lambda hashes: [row], [open_folder]).find([new], {}) == ([new], [])


def test_a_folder_that_goes_while_it_is_walked_says_nothing(tmp_path):
    (tmp_path / "mounts" / "other").mkdir(parents=True)
    disk = tmp_path / "mounts" / "disk"  # as an automounter removes it
    found = paint(tmp_path / "home" / "found.png", 1)
    row = (b"hash", 1, str(disk / "DCIM" / "a.png"), 2, 3)
    new = NewFile("found.png", StoredFile(found, b"hash", 2, 3), has_failed=False)
    origins = Origins(lambda hashes: [row], [disk, found.parent])
    assert origins.find([new], {}) == ([], [new])
    disk.mkdir()
    (disk / "top.png").touch()
    assert origins.find([new], {}) == ([new], [])


MOVER = """
import sys
import lookalike
from tests.colours import FEW, TABLE, Colours
with lookalike.connect(sys.argv[1], index_sizes=FEW) as db:
    print("ready", flush=True)
    report = db.collection(TABLE, model=Colours()).add(sys.argv[2])
    print(report.moved, report.unchanged, report.reused, report.added, flush=True)
"""


def mover(database_url, folder):
    return subprocess.Popen(
        [sys.executable, "-c", MOVER, database_url, str(folder)], stdout=subprocess.PIPE, text=True
    )


def test_two_adds_at_once_move_each_row_once(database_url, tmp_path):
    images = tmp_path / "images"
    files = paint_many(images, 300)
    with lookalike.connect(database_url, index_sizes=FEW) as db:
        db.collection(TABLE, model=Colours()).add(images)
        before = ids(db)
        for n, file in enumerate(files):
            file.rename(file.with_name(f"new{n:05}.png"))
        movers = [mover(database_url, images) for _ in range(2)]
        counts = [each.communicate()[0].split("\n")[1].split() for each in movers]
        assert sum(int(moved) for moved, *_ in counts) == 300
        assert all(int(moved) + int(unchanged) == 300 for moved, unchanged, *_ in counts)
        assert set(ids(db).values()) == set(before.values())
        assert_stored(db, images)


def test_two_adds_of_two_folders_share_one_row(database_url, tmp_path):
    (a,) = paint_many(tmp_path / "images", 1)
    paint_many(tmp_path / "images" / "rest", 1, first=9)
    with lookalike.connect(database_url, index_sizes=FEW) as db:
        db.collection(TABLE, model=Colours()).add(tmp_path / "images")
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        shutil.copy(a, tmp_path / folder / "x.png")
    a.unlink()
    barrier, reports = threading.Barrier(2), []

    def add(folder):
        with lookalike.connect(database_url, index_sizes=FEW) as db:
            colours = db.collection(TABLE, model=Colours())
            barrier.wait()
            reports.append(colours.add(folder))

    threads = [threading.Thread(target=add, args=[tmp_path / f]) for f in ("one", "two")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted((r.moved, r.reused) for r in reports) == [(0, 1), (1, 0)]


@pytest.mark.slow
def test_killed_in_between_each_row_is_at_one_of_its_paths(database_url, tmp_path):
    images = tmp_path / "images"
    files = paint_many(images, 1500)
    with lookalike.connect(database_url, index_sizes=FEW) as db:
        db.collection(TABLE, model=Colours()).add(images)
        before = ids(db)
        for n, file in enumerate(files):
            file.rename(file.with_name(f"new{n:05}.png"))
        process = mover(database_url, images)
        new = f"SELECT COUNT(*) FROM {TABLE}_files WHERE path LIKE %s"
        while db.rows(new, ["%new%"])[1] == [(0,)] and process.poll() is None:
            pass
        process.send_signal(signal.SIGKILL)
        process.communicate()
        (moved,) = db.rows(new, ["%new%"])[1][0]
        assert moved > 0 and set(ids(db).values()) == set(before.values())
        report = db.collection(TABLE, model=Colours()).add(images)
        assert (report.moved, report.unchanged) == (1500 - moved, moved)
        assert set(ids(db).values()) == set(before.values())
        assert_stored(db, images)


def test_a_dry_run_needs_a_folder_that_is_there(colours, tmp_path):
    paint_many(tmp_path / "images", 1)
    colours.add(tmp_path / "images")
    (tmp_path / "images").rename(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="no such file or folder"):
        colours.add(tmp_path / "images", prune=True)
