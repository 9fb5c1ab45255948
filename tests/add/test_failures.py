"""What has failed is left alone until there is hope."""

from pathlib import Path

import numpy as np
import pytest

from lookalike import InputError
from tests.add.paints import GREY, RED, counts, stored
from tests.colours import assert_stored, paint, paint_many

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
        ({"retry_timeout": -1}, "retry_timeout is -1; give 0 seconds or more"),
        ({"retry_timeout": float("nan")}, "retry_timeout is nan"),
        ({"exclude": ["!"]}, "cannot exclude !"),
    ],
)
def test_options_that_cannot_be_honoured_are_refused(db, colours, folder, options, message):
    with pytest.raises(InputError, match=message):
        colours.add(folder, **options)
    assert db.collections() == []
