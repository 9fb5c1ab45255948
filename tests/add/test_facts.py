"""`add` with facts: attributes from what the files tell."""

import os
import shutil

import numpy as np
import pytest

import lookalike
from lookalike.add.facts import FactsReader
from lookalike.add.ingest import IngestOptions
from lookalike.core.errors import ImageError
from lookalike.database.retry import Persistence
from lookalike.images.walk import ImageWalk
from lookalike.pipeline.decoder import Decoder
from tests.add.albums import attributes, facts_of, make_album
from tests.add.paints import GREEN
from tests.colours import TABLE, Colours, paint
from tests.images.photographs import photograph


@pytest.fixture
def album(tmp_path):
    return make_album(tmp_path / "album")


@pytest.fixture
def asked(monkeypatch):
    """The names of the files whose facts are read."""
    names = []
    ask = Decoder.facts

    def facts(self, path):
        names.append(path.name)
        return ask(self, path)

    monkeypatch.setattr(Decoder, "facts", facts)
    return names


def test_facts_are_attributes(colours, album, asked):
    report = colours.add(album, facts=True)
    assert (report.added, report.facts) == (4, 4)
    assert attributes(colours) == facts_of(album)
    kinds = {each.name: (each.kind, each.rows) for each in colours.attributes.list()}
    assert kinds == {
        "camera": ("text", 2),
        "file_size": ("number", 4),
        "folder": ("text", 4),
        "format": ("text", 4),
        "height": ("number", 4),
        "taken_at": ("text", 3),
        "width": ("number", 4),
    }
    assert sorted(asked) == ["1.jpg", "2.jpg", "3.jpg", "4.png"]


def test_a_fact_that_no_file_tells_is_known_to_filters(colours, folder):
    colours.add(folder, facts=True)
    assert colours.search(np.ones(3), where="taken_at>=2024 or camera~nikon") == []
    assert len(colours.search(np.ones(3), where="taken_at is missing", order_by="camera")) == 5


def test_stored_images_get_them_without_being_embedded_again(colours, album, asked, model):
    colours.add(album)
    assert attributes(colours)["1.jpg"] == {} and not asked
    report = colours.add(album, facts=True)
    assert (report.unchanged, report.facts, model.count) == (4, 4, 4)
    assert attributes(colours) == facts_of(album)
    asked.clear()
    assert colours.add(album, facts=True).facts == 0 and not asked
    paint(album / "5.png", GREEN)
    assert colours.add(album, facts=True).facts == 1 and asked == ["5.png"]


def test_files_that_are_named_get_them_too(colours, album):
    colours.add(album)
    assert colours.add(album / "rome/1.jpg", facts=True).facts == 1
    assert [name for name, found in attributes(colours).items() if found] == ["1.jpg"]
    assert colours.add(album / "rome", facts=True).facts == 1


def test_changed_and_moved_files_get_new_ones(colours, album, asked):
    colours.add(album, facts=True)
    asked.clear()
    photograph(album / "rome/1.jpg", (11, 12), "pink")
    (album / "rome/2.jpg").rename(album / "oslo/2.jpg")
    shutil.copy(album / "4.png", album / "oslo/copy.png")
    before = attributes(colours)
    report = colours.add(album, facts=True)
    assert (report.updated, report.moved, report.reused, report.facts) == (1, 1, 1, 3)
    found = attributes(colours)
    assert found["1.jpg"] == {
        "file_size": (album / "rome/1.jpg").stat().st_size,
        "folder": "rome",
        "format": "jpeg",
        "width": 11,
        "height": 12,
    }
    assert found["2.jpg"] == before["2.jpg"] | {"folder": "oslo"}
    assert found["copy.png"]["folder"] == "oslo"
    assert sorted(asked) == ["1.jpg", "2.jpg", "copy.png"]


def test_coordinates_only_on_request(colours, album, asked):
    colours.add(album, facts=True)
    assert "latitude" not in attributes(colours)["1.jpg"]
    asked.clear()
    assert colours.add(album, facts=True, location=True).facts == 4
    found = attributes(colours)["1.jpg"]
    assert (found["latitude"], found["longitude"]) == (52.52, 13.405)
    (album / "rome/1.jpg").rename(album / "oslo/1.jpg")
    assert colours.add(album, facts=True).facts == 1  # what was asked for once stays true
    assert attributes(colours)["1.jpg"]["latitude"] == 52.52
    photograph(album / "oslo/1.jpg", (11, 12), "pink")
    colours.add(album, facts=True)
    assert "latitude" not in attributes(colours)["1.jpg"]
    with pytest.raises(lookalike.InputError, match="location is one of the facts: set facts"):
        colours.add(album, location=True)


# Beside attributes of the user's own.


def test_attributes_with_their_names_are_not_overwritten(colours, album, model):
    colours.add(album)
    colours.attributes.set([{"path": "rome/1.jpg", "format": "A4", "width": 3}])
    photograph(album / "5.jpg", colour="pink")
    clash = rf"^format, width: '{TABLE}' has attributes of your own with the names of facts; drop"
    with pytest.raises(lookalike.InputError, match=clash):
        colours.add(album, facts=True)
    assert model.count == 4  # refused before anything was done
    assert attributes(colours)["1.jpg"] == {"format": "A4", "width": 3}
    colours.attributes.drop("format")
    colours.attributes.drop("width")
    assert colours.add(album, facts=True).facts == 5


def test_a_column_with_their_name_is_not_overwritten(colours, album, db):
    colours.add(album, facts=True)
    db.rows(f"ALTER TABLE {TABLE} ADD COLUMN Camera VARCHAR(9)")
    clash = rf"^Camera: a column of your own in table '{TABLE}' has the name of a fact; rename"
    with pytest.raises(lookalike.InputError, match=clash):
        colours.add(album, facts=True)


def test_what_users_set_in_single_rows_stays(colours, album):
    """A scan's date that was corrected, a camera that was removed, one that was missing."""
    colours.add(album, facts=True)
    corrected = [
        {"path": "rome/1.jpg", "taken_at": "1969-07-20", "camera": None},
        {"path": "4.png", "camera": "Hasselblad"},
    ]
    colours.attributes.set(corrected)
    for name in ("rome/1.jpg", "4.png"):
        photograph(album / name, (9, 9), "pink", taken="2026:01:01 00:00:00", model="Other")
    assert colours.add(album, facts=True).facts == 2
    found = attributes(colours)
    assert found["1.jpg"]["taken_at"] == "1969-07-20" and "camera" not in found["1.jpg"]
    assert found["1.jpg"]["width"] == 9
    assert found["4.png"]["camera"] == "Hasselblad"
    assert found["4.png"]["taken_at"] == "2026-01-01T00:00:00"


def test_a_fact_that_was_dropped_comes_back_only_with_facts(colours, album):
    colours.add(album, facts=True)
    assert colours.attributes.drop("taken_at") == 3
    colours.add(album)
    assert "taken_at" not in attributes(colours)["1.jpg"]
    assert colours.add(album, facts=True).facts == 4
    assert attributes(colours) == facts_of(album)


# Whatever happens.


def test_a_file_that_ends_its_decoder_has_the_facts_that_need_no_decoder(
    colours, album, monkeypatch
):
    ask = Decoder.facts

    def facts(self, path):
        if path.name == "1.jpg":
            raise ImageError("its decoder crashed")
        return ask(self, path)

    monkeypatch.setattr(Decoder, "facts", facts)
    assert colours.add(album, facts=True).facts == 4
    size = (album / "rome/1.jpg").stat().st_size
    assert attributes(colours)["1.jpg"] == {"file_size": size, "folder": "rome"}
    assert colours.add(album, facts=True).facts == 0


def test_files_that_are_gone_or_other_than_stored_are_left_out(colours, album, monkeypatch):
    colours.add(album)
    (album / "rome/1.jpg").unlink()
    ask = Decoder.facts

    def facts(self, path):
        if path.name == "2.jpg":
            os.utime(path, (1, 1))
        return ask(self, path)

    monkeypatch.setattr(Decoder, "facts", facts)
    assert colours.add(album, facts=True).facts == 2
    assert {name for name, found in attributes(colours).items() if found} == {"3.jpg", "4.png"}
    monkeypatch.setattr(Decoder, "facts", ask)
    assert colours.add(album, facts=True).facts == 1


def test_what_was_stored_before_an_end_is_not_read_again(colours, album):
    def stop(done, total):
        if done == 2:
            raise KeyboardInterrupt

    colours.add(album)
    table = colours._state.table
    reader = FactsReader(table, IngestOptions(), Persistence(timeout=0), "int", batch=1)
    with pytest.raises(KeyboardInterrupt):
        reader.fill(ImageWalk([album]), stop)
    assert colours.add(album, facts=True).facts == 2
    assert attributes(colours) == facts_of(album)


def test_they_go_with_their_rows_and_their_collection(database_url, colours, album, db):
    colours.add(album, facts=True)
    colours.remove("4.png")
    assert db.rows(f"SELECT COUNT(*) FROM {TABLE}_facts")[1] == [(3,)]
    db.rename_collection(TABLE, "others")
    with lookalike.connect(database_url) as again:
        others = again.collection("others", model=Colours())
        assert others.add(album, facts=True).facts == 1
    db.delete_collection("others")
    assert not db.rows("SHOW TABLES LIKE '%facts'")[1]
