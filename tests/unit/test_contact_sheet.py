import re
from pathlib import Path

import pytest
from PIL import Image

from lookalike.contact_sheet import match_tiles, query_tile, write_contact_sheet
from lookalike.errors import InputError
from lookalike.types import ImageRecord, Match


def test_a_sheet_shows_the_query_and_every_match(tmp_path, photos):
    matches = [Match(1, "cat.jpg", 1.0), Match(2, "<b>gone</b>.jpg", 0.5), Match(3, "own", 0.25)]
    records = [
        ImageRecord(1, "cat.jpg", photos / "cat.jpg"),
        ImageRecord(2, "<b>gone</b>.jpg", Path("/nowhere/gone.jpg")),
        ImageRecord(3, "own", None),
    ]
    tiles = [query_tile("q", Image.new("RGB", (9, 9))), *match_tiles(matches, records)]
    write_contact_sheet(tmp_path / "deep" / "sheet.html", "A & B", tiles)
    page = (tmp_path / "deep" / "sheet.html").read_text()
    assert len(re.findall("data:image/jpeg;base64,", page)) == 2
    assert "1.0000" in page and "0.2500" in page
    assert "<b>gone" not in page and "&lt;b&gt;gone" in page and "A &amp; B" in page
    assert "only its embedding is stored" in page and "No such file" in page


def test_a_sheet_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot write the contact sheet"):
        write_contact_sheet(tmp_path / "file" / "sheet.html", "t", [])
