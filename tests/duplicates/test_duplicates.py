"""Duplicates in the database: found as numpy finds them, decided, removed with their files."""

import os
import shutil
import tempfile
import warnings
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from lookalike import InputError
from lookalike.duplicates import remove
from lookalike.duplicates import thumbnails as looks
from lookalike.index import training

DIM = 24
STARS = ((70, 16), (71, 16), (75, 17), (75, 16), (79, 17))


def planted(n, seed=0):
    """Random unit vectors (n, DIM), of which every tenth has 1 to 3 near neighbours after it."""
    rng = np.random.default_rng(seed)
    base = rng.standard_normal((n, DIM))
    for start in range(0, n - 3, 10):
        for place in range(start + 1, start + 2 + start // 10 % 3):
            base[place] = base[start] + 0.03 * rng.standard_normal(DIM)
    return (base / np.linalg.norm(base, axis=1, keepdims=True)).astype(np.float32)


def stars(embeddings, least):
    """Groups by brute force: by id, each row takes the later free ones that are near enough."""
    similarities = embeddings.astype(float) @ embeddings.astype(float).T
    taken, groups = set(), {}
    for row in range(len(embeddings)):
        if row in taken:
            continue
        near = [o for o in np.flatnonzero(similarities[row] >= least) if o > row and o not in taken]
        taken.update(near)
        if near:
            groups[row + 1] = {int(other) + 1 for other in near}
    return groups


def found(groups):
    return {group.keep.id: {image.id for image in group.duplicates} for group in groups}


@pytest.mark.parametrize("n", [300, 1500])
def test_similar_embeddings_are_grouped_as_by_brute_force(engine, n):
    own = engine.collection("own", dim=DIM)
    embeddings = planted(n)
    own.add_embeddings([f"v{i}" for i in range(n)], embeddings)
    groups = own.duplicates.find(min_similarity=0.9)
    assert found(groups) == stars(embeddings, 0.9)
    assert (own._state.index.load() is not None) == (n >= training.FEWEST_ROWS)
    for group in groups:
        for image in group.duplicates:
            expected = embeddings[group.keep.id - 1].astype(float) @ embeddings[image.id - 1]
            assert image.similarity == pytest.approx(expected, abs=1e-6)
            assert image.tier == group.tier == "similar" and image.path is None
        assert group.keep.tier is None
    sizes = [len(group.duplicates) for group in groups]
    assert sizes == sorted(sizes, reverse=True)


def test_more_neighbours_than_one_question_brings_are_all_found(db):
    rng = np.random.default_rng(0)
    embeddings = rng.standard_normal((1200, DIM))
    embeddings[100:200] = embeddings[100] + 0.02 * rng.standard_normal((100, DIM))
    embeddings[300:400] = embeddings[300]  # and copies, which are one picture
    own = db.collection("own", dim=DIM)
    own.add_embeddings([f"v{i}" for i in range(1200)], embeddings)
    groups = found(own.duplicates.find(min_similarity=0.95))
    assert groups == {101: set(range(102, 201)), 301: set(range(302, 401))}


def test_rows_without_embeddings_are_none(db):
    db.rows(
        "CREATE TABLE own (id INT PRIMARY KEY AUTO_INCREMENT, image_name VARCHAR(255), "
        f"embedding VECTOR({DIM}))"
    )
    db.rows("INSERT INTO own (image_name) VALUES " + ", ".join(["('x')"] * 300))
    assert db.collection("own").duplicates.find(min_similarity=0.95) == []
    own = db.collection("own", dim=DIM)
    own.add_embeddings(["a", "b"], [[1.0] * DIM] * 2)
    assert found(own.duplicates.find(min_similarity=0.95)) == {301: {302}}


def test_rows_of_other_programs_are_seen(db):
    own = db.collection("own", dim=DIM)
    embeddings = planted(1100)
    own.add_embeddings([f"v{i}" for i in range(1100)], embeddings)
    db.rows("INSERT INTO own (image_name, embedding) SELECT 'x', embedding FROM own WHERE id = 5")
    assert {5, 1101} in [
        {keep, *others} for keep, others in found(own.duplicates.find(min_similarity=0.95)).items()
    ]


def test_decisions_are_remembered(db):
    own = db.collection("own", dim=2)
    own.add_embeddings(["a", "b", "c"], [[1, 0], [1, 0.01], [1, 0.02]])
    assert found(own.duplicates.find(min_similarity=0.95)) == {1: {2, 3}}
    own.duplicates.mark_distinct(3, 1)
    own.duplicates.mark_distinct(1, 3)
    assert found(db.collection("own").duplicates.find(min_similarity=0.95)) == {1: {2}}
    assert db.rows("SELECT * FROM own_distinct")[1] == [(1, 3)]
    own.duplicates.mark_distinct(1, 2, 3)
    assert own.duplicates.find(min_similarity=0.95) == []
    assert own.duplicates.unmark_distinct(2, 3) == 1 and own.duplicates.unmark_distinct(2, 3) == 0
    assert found(own.duplicates.find(min_similarity=0.95)) == {2: {3}}
    own.remove_rows([1])
    assert db.rows("SELECT COUNT(*) FROM own_distinct")[1] == [(0,)]
    with pytest.raises(InputError, match="no image with id 99"):
        own.duplicates.mark_distinct(2, 99)
    with pytest.raises(InputError, match="two different ids"):
        own.duplicates.mark_distinct(2, 2)


def test_what_cannot_be_honoured_is_refused(db):
    own = db.collection("own", dim=2)
    with pytest.raises(InputError, match="it has no collections yet"):
        own.duplicates.find(min_similarity=0.95)
    own.add_embeddings(["a"], [[1, 0]])
    assert own.duplicates.find(min_similarity=0.95) == []
    own.remove_rows([1])
    assert own.duplicates.find(min_similarity=0.95) == []
    for options, message in (
        ({"min_similarity": 1.5}, "min_similarity is 1.5"),
        ({"tier": "identical", "min_similarity": 0.9}, "no meaning without the tier similar"),
        ({"tier": "same"}, "there is no tier 'same'"),
        ({"keep": "newest"}, "cannot keep 'newest'"),
        ({"orientations": "any"}, "no orientations 'any': give auto, upright, all"),
    ):
        with pytest.raises(InputError, match=message):
            own.duplicates.find(**options)
    with pytest.raises(InputError, match="not both"):
        own.duplicates.delete([], move_to="x", permanently=True)
    with pytest.raises(InputError, match="no tier 'all'"):
        own.duplicates.delete([], tier="all")


def test_other_metrics_need_their_own_threshold(db):
    own = db.collection("own", dim=2, metric="euclidean")
    own.add_embeddings(["a", "b", "c"], [[1, 0], [1, 0.1], [3, 0]])
    with pytest.raises(InputError, match="was measured for the metric euclidean: give --min-"):
        own.duplicates.find()
    assert found(own.duplicates.find(min_similarity=-0.2)) == {1: {2}}
    assert own.duplicates.find(tier="near-duplicate") == []


def test_nothing_is_similar_by_default_where_it_was_never_measured(db):
    own = db.collection("own", dim=2)
    own.add_embeddings(["a", "b"], [[1, 0], [1, 0.01]])
    with pytest.raises(
        InputError, match=r"embeddings of your own: give --min-similarity .* --tier"
    ):
        own.duplicates.find()
    db.rows("UPDATE lookalike_collections SET model = 'clip-ViT-B-32'")
    clip = db.collection("own")
    with pytest.raises(InputError, match="was measured for the model clip-ViT-B-32"):
        clip.duplicates.find()
    assert clip.duplicates.find(tier="near-duplicate") == []
    assert found(clip.duplicates.find(min_similarity=0.95)) == {1: {2}}


def test_a_table_that_others_made_is_searched_and_stays_as_it_is(db):
    db.rows("CREATE TABLE t (id INT PRIMARY KEY, image_name TEXT, embedding VECTOR(2))")
    db.rows(
        "INSERT INTO t VALUES (7, 'a', STRING_TO_VECTOR('[1,2]')), (3, 'b', "
        "STRING_TO_VECTOR('[1,2]')), (5, NULL, NULL), (6, 'zero', STRING_TO_VECTOR('[0,0]'))"
    )
    assert found(db.collection("t").duplicates.find(min_similarity=0.95)) == {3: {7}}
    assert db.rows("SHOW TABLES")[1] == [("t",)]


# Files.


@pytest.fixture
def folder(tmp_path, photos):
    """Six files of two pictures: cat (a copy, a smaller one, a turned one) and rocket (a copy)."""
    folder = tmp_path / "images"
    (folder / "deep").mkdir(parents=True)
    shutil.copy(photos / "cat.jpg", folder / "cat.jpg")
    shutil.copy(photos / "cat.jpg", folder / "deep" / "cat.jpg")
    with Image.open(photos / "cat.jpg") as cat:
        cat.resize((cat.width // 2, cat.height // 2)).save(folder / "cat-small.jpg")
        cat.transpose(Image.Transpose.ROTATE_90).resize((200, 300)).save(folder / "cat-turned.png")
    for number, name in enumerate(("rocket.jpg", "rocket-copy.jpg")):
        shutil.copy(photos / "rocket.jpg", folder / name)
        os.utime(folder / name, ns=(0, 10**18 + number))
    return folder


@pytest.fixture
def collection(db, embedded_model, folder):
    collection = db.collection("photos", model=embedded_model)
    collection.add(folder)
    return collection


def by_name(groups, folder):
    return {
        str(group.keep.path.relative_to(folder)): {
            str(image.path.relative_to(folder)): image.tier for image in group.duplicates
        }
        for group in groups
    }


CATS = {
    "deep/cat.jpg": "identical",
    "cat-small.jpg": "near-duplicate",
    "cat-turned.png": "near-duplicate",
}


def test_the_same_picture_is_found_however_it_lies(collection, folder):
    groups = collection.duplicates.find()
    assert by_name(groups, folder) == {
        "rocket.jpg": {"rocket-copy.jpg": "identical"},
        "cat.jpg": CATS,
    }
    keep = groups[1].keep
    assert (keep.width, keep.height, keep.size) == (451, 300, keep.path.stat().st_size)
    assert [group.tier for group in groups] == ["identical", "near-duplicate"]
    assert by_name(collection.duplicates.find(tier="identical"), folder) == {
        "rocket.jpg": {"rocket-copy.jpg": "identical"},
        "cat.jpg": {"deep/cat.jpg": "identical"},
    }


def test_turned_pictures_are_others_where_only_upright_ones_count(collection, folder):
    groups = collection.duplicates.find(tier="near-duplicate", orientations="upright")
    upright = {name: tier for name, tier in CATS.items() if name != "cat-turned.png"}
    assert by_name(groups, folder)["cat.jpg"] == upright


def test_without_measured_cosines_the_nearest_are_compared(db, collection, folder):
    db.rows("UPDATE lookalike_collections SET model = 'another'")
    groups = db.collection("photos").duplicates.find(tier="near-duplicate")
    assert by_name(groups, folder)["cat.jpg"] == CATS


def star(points, step):
    """A star polygon: a line from each point on a circle to the one `step` further."""
    image = Image.new("RGB", (800, 800), "white")
    draw = ImageDraw.Draw(image)
    angles = 2 * np.pi * np.arange(points) / points
    ends = np.stack([400 + 380 * np.sin(angles), 400 - 380 * np.cos(angles)], axis=1)
    for place, end in enumerate(ends):
        draw.line([*end, *ends[(place + step) % points]], fill="black", width=4)
    return image.resize((200, 200), Image.Resampling.LANCZOS)


def test_fine_drawings_are_told_apart_by_their_files(db, embedded_model, tmp_path):
    folder = tmp_path / "stars"
    folder.mkdir()
    for points, step in STARS:
        image = star(points, step)
        image.save(folder / f"{points}-{step}.png")
        image.save(folder / f"{points}-{step}.jpg", quality=70)
    own = db.collection("stars", model=embedded_model)
    own.add(folder)
    pairs = {f"{points}-{step}" for points, step in STARS}
    groups = own.duplicates.find(tier="near-duplicate")
    assert {group.keep.path.stem for group in groups} == pairs
    assert all([i.path.stem for i in g.duplicates] == [g.keep.path.stem] for g in groups)


def test_fine_drawings_whose_files_are_gone_are_not_taken_for_one(db, embedded_model, tmp_path):
    for points, step in STARS:
        star(points, step).save(tmp_path / f"{points}-{step}.png")
    own = db.collection("stars", model=embedded_model)
    own.add(tmp_path)
    assert own.duplicates.find(tier="near-duplicate") == []
    for file in tmp_path.glob("*.png"):
        file.unlink()
    assert own.duplicates.find(tier="near-duplicate") == []


def test_the_oldest_or_the_largest_can_be_kept(collection, folder):
    os.utime(folder / "cat-turned.png", (0, 0))
    collection.add(folder)
    oldest, largest = (
        {group.keep.path.name for group in collection.duplicates.find(keep=rule)}
        for rule in ("oldest", "largest")
    )
    assert oldest == {"cat-turned.png", "rocket.jpg"}
    assert largest == {"cat-turned.png", "rocket.jpg"}  # a PNG is larger
    assert max(folder.glob("cat*"), key=lambda f: f.stat().st_size).name == "cat-turned.png"


def test_looks_are_kept_and_follow_the_bytes(db, collection, folder, photos, monkeypatch):
    collection.duplicates.find()
    seen = []
    monkeypatch.setattr(looks, "look_at", lambda *args: seen.append(args))
    collection.duplicates.find()
    assert seen == []
    monkeypatch.undo()
    assert db.rows("SELECT COUNT(*) FROM photos_phashes")[1] == [(4,)]
    shutil.copy(photos / "moose.webp", folder / "cat-small.jpg")
    collection.add(folder)
    others = {name: tier for name, tier in CATS.items() if name != "cat-small.jpg"}
    assert by_name(collection.duplicates.find(), folder)["cat.jpg"] == others
    assert db.rows("SELECT COUNT(*) FROM photos_phashes")[1] == [(4,)]


def test_files_that_are_not_as_added_are_compared_by_what_is_stored(db, collection, folder):
    told = []
    (folder / "cat-turned.png").unlink()
    (folder / "rocket.jpg").write_bytes(b"a list")
    again = db.collection("photos")
    again._state.notify = told.append
    groups = by_name(again.duplicates.find(), folder)
    assert groups["cat.jpg"] == {k: v for k, v in CATS.items() if k != "cat-turned.png"}
    # Its copy of the same bytes shows what it looked like.
    assert groups["rocket.jpg"] == {"rocket-copy.jpg": "identical"}
    assert told == [
        "1 file is gone, changed or unreadable, and compared by bytes and embedding only; "
        "add the folder again, with --prune for what is gone."
    ]


def test_duplicates_are_moved_and_nothing_is_replaced(collection, folder, tmp_path):
    target = tmp_path / "moved"
    target.mkdir()
    (target / "cat.jpg").write_text("mine")
    groups = collection.duplicates.find()
    dry = collection.duplicates.delete(groups, move_to=target, dry_run=True, tier="near-duplicate")
    assert collection.count() == 6 and names_in(target) == ["cat.jpg"]
    done = collection.duplicates.delete(groups, move_to=target, tier="near-duplicate")
    assert {**asdict_(dry), "is_dry_run": False} == asdict_(done)
    assert (target / "cat.jpg").read_text() == "mine"
    assert names_in(target) == [
        *("cat-2.jpg", "cat-small.jpg", "cat-turned.png", "cat.jpg", "rocket-copy.jpg")
    ]
    assert sorted(p.name for p in folder.rglob("*.*")) == ["cat.jpg", "rocket.jpg"]
    assert collection.count() == 2 and collection.duplicates.find() == []
    assert collection.index.check().is_consistent
    assert done.size == sum(f.stat().st_size for f in target.iterdir()) - len("mine")


def names_in(folder):
    return sorted(path.name for path in folder.iterdir())


def asdict_(report):
    return {name: getattr(report, name) for name in report.__slots__}


def test_files_are_deleted_permanently_when_asked(collection, folder):
    report = collection.duplicates.delete(
        collection.duplicates.find(), permanently=True, tier="near-duplicate"
    )
    assert {file.path for file in report.removed} == {
        *(folder / name for name in ("deep/cat.jpg", "cat-small.jpg", "cat-turned.png")),
        folder / "rocket-copy.jpg",
    }
    assert sorted(p.name for p in folder.rglob("*.*")) == ["cat.jpg", "rocket.jpg"]


def test_only_the_same_bytes_are_deleted_by_default(collection, folder):
    report = collection.duplicates.delete(collection.duplicates.find(), permanently=True)
    assert {file.path for file in report.removed} == {
        folder / "deep/cat.jpg",
        folder / "rocket-copy.jpg",
    }


def test_looser_tiers_stay(collection, folder, photos):
    shutil.copy(photos / "cat-crop.jpg", folder)  # about half of it
    collection.add(folder)

    def removed(tier):
        groups = collection.duplicates.find()
        report = collection.duplicates.delete(groups, tier=tier, permanently=True)
        return {file.path.name for file in report.removed}

    assert by_name(collection.duplicates.find(), folder)["cat.jpg"] == {
        **CATS,
        "cat-crop.jpg": "similar",
    }
    assert removed("identical") == {"cat.jpg", "rocket-copy.jpg"}
    assert removed("near-duplicate") == {"cat-small.jpg", "cat-turned.png"}
    assert removed("near-duplicate") == set()
    assert removed("similar") == {"cat-crop.jpg"}


@pytest.mark.parametrize("harm", ["gone", "changed", "unreadable"])
def test_nothing_goes_where_the_file_to_keep_is_not_safe(collection, folder, harm, monkeypatch):
    groups = collection.duplicates.find()
    keep = folder / "cat.jpg"
    if harm == "gone":
        keep.unlink()
    elif harm == "changed":
        keep.write_bytes(keep.read_bytes() + b"!")
    else:
        keep.unlink()
        keep.mkdir()
    report = collection.duplicates.delete(groups, permanently=True, tier="near-duplicate")
    assert {file.path.name for file in report.removed} == {"rocket-copy.jpg"}
    assert {failure.path for failure in report.failed} == {folder / name for name in CATS}
    assert all(f"the file to keep, {keep}, is not safe" in f.reason for f in report.failed)
    assert all((folder / name).exists() for name in CATS) and collection.count() == 5


def test_files_that_are_not_as_compared_stay(collection, folder, monkeypatch):
    groups = collection.duplicates.find()
    (folder / "cat-small.jpg").unlink()
    (folder / "cat-turned.png").write_text("edited")
    (folder / "rocket-copy.jpg").unlink()
    (folder / "rocket-copy.jpg").symlink_to(folder / "rocket.jpg")
    report = collection.duplicates.delete(groups, permanently=True, tier="near-duplicate")
    assert {failure.path.name: failure.reason for failure in report.failed} == {
        "cat-small.jpg": "No such file or directory",
        "cat-turned.png": "it has changed since it was added; add it again",
        "rocket-copy.jpg": "it is a link to another file",
    }
    assert [file.path for file in report.removed] == [folder / "deep/cat.jpg"]
    assert collection.count() == 5 and (folder / "rocket.jpg").exists()


def test_a_file_that_a_link_leads_to_stays(collection, folder):
    (folder / "link.jpg").symlink_to(folder / "cat-small.jpg")
    collection.add(folder)
    groups = collection.duplicates.find()
    reasons = {
        "link.jpg": "it is a link to another file",
        "cat-small.jpg": f"a link leads to it, {folder / 'link.jpg'}",
    }
    for dry_run in (True, False):
        report = collection.duplicates.delete(
            groups, permanently=True, dry_run=dry_run, tier="near-duplicate"
        )
        assert {failure.path.name: failure.reason for failure in report.failed} == reasons
        assert len(report.removed) == 3
    assert (folder / "link.jpg").exists()


def test_a_file_that_goes_while_it_is_moved_leaves_nothing(
    collection, folder, tmp_path, monkeypatch
):
    groups = collection.duplicates.find()
    rename = remove._rename

    def vanish(path, target):
        path.unlink()
        rename(path, target)

    monkeypatch.setattr(remove, "_rename", vanish)
    report = collection.duplicates.delete(groups, move_to=tmp_path / "moved", tier="near-duplicate")
    assert len(report.failed) == 4 and report.removed == ()
    assert list((tmp_path / "moved").iterdir()) == []


def test_a_file_that_cannot_leave_its_folder_is_not_copied(
    collection, folder, tmp_path, monkeypatch
):
    groups = collection.duplicates.find()
    unlink = Path.unlink

    def locked(path, *args, **kwargs):
        if path.is_relative_to(folder):
            raise PermissionError(13, "Permission denied")
        unlink(path, *args, **kwargs)

    monkeypatch.setattr(Path, "unlink", locked)
    report = collection.duplicates.delete(groups, move_to=tmp_path / "moved", tier="near-duplicate")
    assert len(report.failed) == 4 and collection.count() == 6
    assert list((tmp_path / "moved").iterdir()) == []


@pytest.fixture
def other_disk(tmp_path):
    with tempfile.TemporaryDirectory(dir="/dev/shm") as name:
        assert Path(name).stat().st_dev != tmp_path.stat().st_dev
        yield Path(name)


def test_duplicates_are_moved_to_another_disk(collection, folder, other_disk):
    groups = collection.duplicates.find()
    taken = folder / "cat-small.jpg"
    content, mode = taken.read_bytes(), 0o640
    taken.chmod(mode)
    os.utime(taken, ns=(10**18, 10**18 + 7))
    (other_disk / "mine").write_text("mine")
    for name in ("cat-turned.png", "cat-turned-2.png"):
        (other_disk / name).symlink_to("mine" if name[-5] == "2" else "nowhere")
    report = collection.duplicates.delete(groups, move_to=other_disk, tier="near-duplicate")
    assert report.failed == () and len(report.removed) == 4
    moved = other_disk / "cat-small.jpg"
    assert moved.read_bytes() == content
    assert (moved.stat().st_mode & 0o777, moved.stat().st_mtime_ns) == (mode, 10**18 + 7)
    assert (other_disk / "mine").read_text() == "mine" and not (other_disk / "nowhere").exists()
    assert (other_disk / "cat-turned-3.png").is_file()


def test_a_link_in_the_folder_is_a_name_that_is_taken(collection, folder, tmp_path):
    target, outside = tmp_path / "moved", tmp_path / "outside"
    target.mkdir()
    outside.mkdir()
    (outside / "precious.jpg").write_text("precious")
    links = {
        "cat-small.jpg": outside / "precious.jpg",
        "cat-turned.png": outside / "made.png",  # there is none
        "rocket-copy.jpg": outside,
    }
    for name, leads_to in links.items():
        (target / name).symlink_to(leads_to)
    groups = collection.duplicates.find()
    dry = collection.duplicates.delete(groups, move_to=target, dry_run=True, tier="near-duplicate")
    done = collection.duplicates.delete(groups, move_to=target, tier="near-duplicate")
    assert asdict_(dry) | {"is_dry_run": False} == asdict_(done)
    assert len(done.removed) == 4
    assert names_in(outside) == ["precious.jpg"]
    assert (outside / "precious.jpg").read_text() == "precious"
    for name, leads_to in links.items():
        assert (target / name).readlink() == leads_to
        assert not target.joinpath(name.replace(".", "-2.")).is_symlink()


def test_a_folder_that_is_replaced_by_a_link_meanwhile_gets_nothing(collection, folder, tmp_path):
    target, outside = tmp_path / "moved", tmp_path / "outside"
    outside.mkdir()
    (outside / "rocket-copy.jpg").write_text("mine")

    def swap(done, total):
        if done == 1:
            target.rename(tmp_path / "real")
            target.symlink_to(outside)

    groups = collection.duplicates.find()
    report = collection.duplicates.delete(
        groups, move_to=target, progress=swap, tier="near-duplicate"
    )
    assert names_in(outside) == ["rocket-copy.jpg"]
    assert (outside / "rocket-copy.jpg").read_text() == "mine"
    assert {failure.reason for failure in report.failed} == {
        f"{target} is not the folder any more that it was at the start"
    }
    left = {file.path for group in groups[1:] for file in group.duplicates}
    assert {failure.path for failure in report.failed} == left
    assert all(path.exists() for path in left)


def test_the_folder_may_be_a_link_of_the_users_own(collection, folder, tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real")
    report = collection.duplicates.delete(
        collection.duplicates.find(), move_to=tmp_path / "link", tier="near-duplicate"
    )
    assert len(report.removed) == 4 and len(names_in(tmp_path / "real")) == 4
    (tmp_path / "nowhere").symlink_to("gone")
    for dry_run in (True, False):
        with pytest.raises(InputError, match="cannot move files to .*/nowhere: "):
            collection.duplicates.delete([], move_to=tmp_path / "nowhere", dry_run=dry_run)
    assert not (tmp_path / "gone").exists()


def test_a_home_in_a_path_is_the_users(collection, folder, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    groups = collection.duplicates.find()
    report = collection.duplicates.delete(
        groups, move_to="~/moved", dry_run=True, tier="near-duplicate"
    )
    assert {file.moved_to.parent for file in report.removed} == {tmp_path / "moved"}
    assert collection.duplicates.report("~/page.html", groups) == tmp_path / "page.html"
    with pytest.raises(InputError, match="a path is empty"):
        collection.duplicates.delete(groups, move_to="")


def test_finding_and_showing_them_leaves_warnings_on(collection, folder, tmp_path):
    before = list(warnings.filters)
    for _ in range(3):
        groups = collection.duplicates.find()
        collection.duplicates.report(tmp_path / "page.html", groups)
    assert warnings.filters == before


def test_the_file_to_keep_is_not_deleted_by_another_name(collection, folder):
    groups = collection.duplicates.find()
    for name in ("deep/cat.jpg", "rocket-copy.jpg"):
        (folder / name).unlink()
        (folder / name).hardlink_to(folder / ("cat.jpg" if "cat" in name else "rocket.jpg"))
    report = collection.duplicates.delete(groups, permanently=True, tier="near-duplicate")
    assert all("by another name" in failure.reason for failure in report.failed)
    assert len(report.failed) == 2 and (folder / "deep/cat.jpg").exists()


def test_a_file_that_cannot_be_deleted_keeps_its_row(collection, folder, monkeypatch):
    groups = collection.duplicates.find()

    def fail(path):
        if path.name == "cat-small.jpg":
            raise PermissionError(13, "Permission denied")
        path.unlink()

    monkeypatch.setattr(remove, "_trash", fail)
    report = collection.duplicates.delete(groups, tier="near-duplicate")
    assert [(f.path.name, f.reason) for f in report.failed] == [
        ("cat-small.jpg", "Permission denied")
    ]
    assert len(report.removed) == 3 and collection.count() == 3


def test_images_without_a_file_are_only_reported(collection, folder):
    (id_,) = collection.add_embeddings(
        ["bare"], collection.load_model().embed_images([Image.open(folder / "cat.jpg")])
    )
    groups = collection.duplicates.find()
    assert {image.id: image.tier for group in groups for image in group.duplicates}[
        id_
    ] == "similar"
    report = collection.duplicates.delete(groups, tier="similar", permanently=True)
    assert report.without_file == (id_,) and len(report.removed) == 4
    assert collection.count() == 3


def test_the_report_shows_every_group(collection, folder, tmp_path):
    (folder / "rocket-copy.jpg").unlink()
    groups = collection.duplicates.find()
    page = collection.duplicates.report(tmp_path / "new" / "report.html", groups).read_text()
    assert page.count("data:image/jpeg;base64,") == 5 and "No such file or directory" in page
    assert [
        word for word in ("keep", "identical", "near-duplicate") if f"badge {word}" not in page
    ] == []
    positions = [page.index(str(group.keep.path.name)) for group in groups]
    assert all(one < other for one, other in pairwise(positions))
    empty = collection.duplicates.report(tmp_path / "empty.html", []).read_text()
    assert "No duplicates were found" in empty
