"""`lookalike duplicates`: one group alone, the folder to prefer, and what is no duplicate."""

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from tests.e2e.told import MODEL, names_in, table


@pytest.fixture
def album(run, photos, tmp_path):
    """Three bees and three cats: of each the picture, a half-size one and that one's copy."""
    folder = tmp_path / "album"
    (folder / "small").mkdir(parents=True)
    for name in ("bee", "cat"):
        shutil.copy(photos / f"{name}.jpg", folder)
        with Image.open(photos / f"{name}.jpg") as image:
            image.reduce(2).save(folder / "small" / f"{name}.jpg", quality=95)
        shutil.copy(folder / "small" / f"{name}.jpg", folder / "small" / f"{name}-copy.jpg")
    run("add", folder, *MODEL)
    return folder


def numbers(done):
    """The number of the group of each file."""
    return {row[7]: row[0] for row in table(done.stdout)[1:]}


def groups(done):
    found = json.loads(done.stdout)["groups"]
    return {Path(group["keep"]["path"]).name: group for group in found}


def test_the_numbers_of_the_report_are_those_of_the_deletion(duplicates, album):
    shown = numbers(duplicates())
    assert len(shown) == 6 and len(set(shown.values())) == 2
    for args in (["--delete"], ["--delete", "--tier", "near-duplicate"], ["--move-to", "x"]):
        assert numbers(duplicates(*args, "--dry-run")) == shown
    page = album.parent / "page.html"
    duplicates("--html", page)
    text = page.read_text()
    for group in groups(duplicates("--json")).values():
        assert group["number"] == group["keep"]["id"]
        assert f"Group {group['number']} " in text and f"<code>{group['name']}</code>" in text


def test_a_copy_of_a_near_duplicate_goes_as_identical(duplicates, album, trash):
    """The bytes of the half-size pictures stay once, beside the pictures that are kept."""
    rows = table(duplicates().stdout)[1:]
    ids = {Path(row[7]).name: row[2] for row in rows if "small" in row[7]}
    tiers = {Path(row[7]).name: row[3] for row in rows if "small" in row[7]}
    originals = {name: copy for name, copy in tiers.items() if copy != "near-duplicate"}
    assert len(originals) == 2
    for name, tier in originals.items():
        other = name.replace("-copy", "") if "-copy" in name else name.replace(".", "-copy.")
        assert tier == f"identical to {ids[other]}"
    assert "(2 identical), and removed their rows" in duplicates("--delete", "--yes").stderr
    assert names_in(trash) == set(originals)
    assert len(names_in(album / "small")) == 2


def test_one_group_is_shown_and_deleted(duplicates, album, trash):
    bee = groups(duplicates("--json"))["bee.jpg"]
    assert set(numbers(duplicates("--group", bee["number"])).values()) == {str(bee["number"])}
    assert list(groups(duplicates("--json", "--group", bee["name"]))) == ["bee.jpg"]
    looser = ("--tier", "near-duplicate", "--yes")
    duplicates("--delete", "--group", bee["name"], *looser)
    assert names_in(trash) == {"bee.jpg", "bee-copy.jpg"}
    assert names_in(album) == {"bee.jpg", "cat.jpg", "small"}
    assert names_in(album / "small") == {"cat.jpg", "cat-copy.jpg"}
    # It is no group any more, and the other has kept its number and its name.
    duplicates("--delete", "--group", bee["name"], *looser, status=2)


def test_a_group_that_has_changed_is_refused(run, duplicates, album, trash, photos):
    before = groups(duplicates("--json"))
    shutil.copy(photos / "cat.jpg", album / "small" / "new.jpg")
    run("add", album)
    after = groups(duplicates("--json"))
    assert after["bee.jpg"]["name"] == before["bee.jpg"]["name"]
    assert after["cat.jpg"]["name"] != before["cat.jpg"]["name"]
    done = duplicates("--delete", "--group", before["cat.jpg"]["name"], "--yes", status=2)
    assert f"it is {after['cat.jpg']['name']} now; look at it" in done.stderr
    assert not trash.exists()
    done = duplicates("--delete", "--group", after["cat.jpg"]["name"], "--yes")
    assert "Trashed 2 files" in done.stderr
    # Another rule makes other groups.
    duplicates("--keep", "largest", "--group", before["bee.jpg"]["name"])
    done = duplicates("--prefer", album / "small", "--group", before["bee.jpg"]["name"], status=2)
    assert "there is no group" in done.stderr


def test_of_a_group_without_such_a_tier_nothing_goes(run, duplicates, album, trash):
    for name in ("bee", "cat"):
        (album / "small" / f"{name}-copy.jpg").unlink()
    run("add", album, "--prune")
    name = groups(duplicates("--json"))["bee.jpg"]["name"]
    done = duplicates("--delete", "--group", name, "--yes", status=2)
    assert f"no duplicate in group {name} is identical" in done.stderr
    assert "--tier near-duplicate" in done.stderr


def test_on_a_terminal_a_number_is_enough(on_terminal, duplicates, album):
    bee = groups(duplicates("--json"))["bee.jpg"]
    said = on_terminal("duplicates", "--move-to", "aside", "--group", bee["number"], types="y\n")
    assert "Move 1 file" in said and len(names_in(album.parent / "aside")) == 1


def test_a_preferred_folder_is_kept(duplicates, album):
    def kept(*args):
        found = json.loads(duplicates("--json", *args).stdout)["groups"]
        return sorted(Path(group["keep"]["path"]).parent.name for group in found)

    assert kept() == ["album", "album"]
    assert kept("--prefer", "album/small") == ["small", "small"]
    assert kept("--prefer", album / "small", "--prefer", album) == ["small", "small"]
    assert kept("--prefer", album, "--prefer", album / "small") == ["album", "album"]
    done = duplicates(
        "--prefer", album / "small", "--move-to", "aside", "--yes", "--tier", "similar"
    )
    assert "Moved 4 files" in done.stderr
    assert len(names_in(album / "small")) == 2 and names_in(album) == {"small"}


def test_decisions_name_files(duplicates, album):
    ids = {row[7]: int(row[2]) for row in table(duplicates().stdout)[1:]}
    pair = ("album/bee.jpg", "album/small/bee.jpg")
    done = duplicates("--not", *pair)
    assert done.stderr == f"{pair[0]} and {pair[1]} are not duplicates from now on.\n"
    rows = table(duplicates().stdout)[1:]
    group_of = {row[7]: row[0] for row in rows}
    one, other = (str(album.parent / each) for each in pair)
    assert group_of.get(one) != group_of.get(other)
    assert json.loads(duplicates("--not", *pair, "--json").stdout)["distinct"] == [
        [ids[one], ids[other]]
    ]
    assert duplicates("--forget-not", ids[one], other).stderr == "Forgot 1 decision.\n"
    assert {row[7]: int(row[2]) for row in table(duplicates().stdout)[1:]} == ids
    folder = duplicates("--not", "album/bee.jpg", "album/small", status=2)
    assert "album/small is a folder of 4 stored images: give one image" in folder.stderr
    (album / "new.jpg").write_bytes(b"new")
    new = duplicates("--not", "album/bee.jpg", "album/new.jpg", status=2)
    assert "no image is stored of album/new.jpg" in new.stderr
