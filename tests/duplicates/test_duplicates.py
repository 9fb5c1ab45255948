"""Duplicates among files: found by what they show, and shown."""

import os
import shutil
import warnings
from itertools import pairwise

import numpy as np
from PIL import Image, ImageDraw

from lookalike.duplicates import thumbnails as looks
from tests.duplicates.cats import CATS, by_name

STARS = ((70, 16), (71, 16), (75, 17), (75, 16), (79, 17))


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


def test_finding_and_showing_them_leaves_warnings_on(collection, folder, tmp_path):
    before = list(warnings.filters)
    for _ in range(3):
        groups = collection.duplicates.find()
        collection.duplicates.report(tmp_path / "page.html", groups)
    assert warnings.filters == before


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
