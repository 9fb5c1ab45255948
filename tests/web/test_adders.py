"""Uploads wait for nobody: not for clients that have gone, and not for a full disk."""

import pytest

import lookalike
from lookalike.web.adders import Adders
from lookalike.web.collections import Collections
from lookalike.web.problems import Problem
from lookalike.web.settings import Settings
from lookalike.web.uploads import Upload
from tests.web.pictures import jpeg


@pytest.fixture
def adders(db, tmp_path):
    settings = Settings(uploads=tmp_path / "uploads", cache=tmp_path / "cache")
    collections = Collections(db, settings)
    opened = Adders(settings, collections)
    yield opened
    opened.close()
    collections.close()


def test_a_client_that_goes_away_stops_no_other(adders, db):
    adder = adders.get(None)
    gone = adder.add(Upload("a.jpg", jpeg(1)))
    assert not gone.cancel()
    others = [adder.add(Upload("b.jpg", jpeg(seed))) for seed in (2, 3)]
    ids = [each.result(60).id for each in (gone, *others)]
    assert len(set(ids)) == 3 and None not in ids
    assert db.collection().count() == 3


def test_an_error_is_told_and_the_next_upload_is_added(adders, monkeypatch):
    adder = adders.get(None)
    with monkeypatch.context() as patch:
        patch.setattr(lookalike.Collection, "add", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            adder.add(Upload("a.jpg", jpeg(1))).result(60)
    assert adder.add(Upload("b.jpg", jpeg(2))).result(60).id
    assert adder.add(Upload("a.jpg", jpeg(1))).result(60).id


def test_a_full_disk_is_told(adders, monkeypatch):
    def refuse(descriptor):
        raise OSError(28, "No space left on device")

    adder = adders.get(None)
    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", refuse)
        with pytest.raises(Problem, match="No space left"):
            adder.add(Upload("a.jpg", jpeg(1)))
    assert adder.add(Upload("a.jpg", jpeg(1))).result(60).id


def test_the_next_start_adds_what_was_kept(adders, db, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(lookalike.Collection, "add", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            adders.get(None).add(Upload("a.jpg", jpeg(1))).result(60)
    adders.close()
    adders.recover()
    adders.close()
    (item,) = db.collection().browse()
    assert item.path.read_bytes() == jpeg(1)
    assert list((tmp_path / "uploads" / "image_embeddings" / ".incoming").iterdir()) == []
