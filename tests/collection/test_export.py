import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import lookalike
from lookalike.collection.export import vector_literal
from lookalike.core.errors import InputError


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1))
def test_every_float32_is_read_back_bit_for_bit(numbers):
    array = np.array(numbers, np.float32)
    text = vector_literal(array)
    if text.startswith("x'"):
        back = np.frombuffer(bytes.fromhex(text[2:-1]), "<f4")
    else:
        inside = text.removeprefix("STRING_TO_VECTOR('[").removesuffix("]')")
        back = np.array([float(number) for number in inside.split(",")]).astype(np.float32)
    assert back.tobytes() == array.astype("<f4").tobytes()


def test_numbers_below_the_normal_range_are_written_in_hex():
    assert vector_literal(np.array([1, 1e-40], np.float32)).startswith("x'0000803f")


class Grey:
    """A model by hand: the embedding is the mean colour."""

    id, dim, has_text = "grey", 3, False

    def embed_images(self, images):
        return np.array([np.asarray(i).mean(axis=(0, 1)) + 1 for i in images], np.float32)


def test_the_file_is_the_articles(tmp_path):
    Image.new("RGB", (4, 4), (1, 2, 3)).save(tmp_path / "it's.png")
    (tmp_path / "bad.png").write_text("no image")
    report = lookalike.export_sql(tmp_path, file=tmp_path / "out.sql", model=Grey())
    text = (tmp_path / "out.sql").read_text()
    assert "embedding VECTOR(3)" in text
    assert "VALUES ('it''s.png', STRING_TO_VECTOR('[2,3,4]'));" in text
    assert report.added == 1 and [f.path.name for f in report.failed] == ["bad.png"]
    assert not list(tmp_path.glob("*.partial"))


def test_a_file_that_cannot_be_written_is_named(tmp_path, photos):
    with pytest.raises(InputError, match=r"cannot write .*x\.sql: No such file"):
        lookalike.export_sql(photos, file=tmp_path / "no" / "x.sql", model=Grey())


@pytest.mark.parametrize("name", ["README.md/x.sql", "x" * 252 + ".sql"])
def test_a_file_that_cannot_even_be_named_is_told(tmp_path, photos, name):
    (tmp_path / "README.md").touch()
    with pytest.raises(InputError, match="cannot write"):
        lookalike.export_sql(photos, file=tmp_path / name, model=Grey())


def test_what_cannot_be_exported_is_reported(tmp_path, monkeypatch):
    folder = tmp_path / "images"
    folder.mkdir()
    for name in (b"good.png", b"caf\xe9.png"):
        Image.new("RGB", (4, 4)).save(folder / os.fsdecode(name))
    (folder / "closed").mkdir()
    scandir = os.scandir

    def scan(path):
        if Path(path).name == "closed":
            raise PermissionError(13, "Permission denied")
        return scandir(path)

    monkeypatch.setattr(os, "scandir", scan)
    report = lookalike.export_sql(folder, file=tmp_path / "out.sql", model=Grey())
    reasons = {failure.path.name: failure.reason for failure in report.failed}
    assert reasons.pop("closed") == "Permission denied"
    assert list(reasons.values()) == ["the file's name is not UTF-8; rename the file"]
    assert report.added == 1 and (tmp_path / "out.sql").read_text().count("INSERT INTO") == 1
