import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pytest
from PIL import Image

from lookalike.core.errors import InputError
from lookalike.core.types import Match
from lookalike.pages.contact_sheet import QueryPart, match_tiles, query_tile, write_contact_sheet


class Page(HTMLParser):
    """The links of a page, and the titles of its pictures."""

    def __init__(self, page):
        super().__init__()
        self.links, self.titles = [], []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if tag == "a":
            self.links.append(attributes["href"])
        elif tag == "figure":
            self.titles.append(attributes["title"])


def write(folder, query, paths):
    """Write a sheet of matches with these paths, and return its HTML."""
    matches = [Match(i, Path(p or "own").name, 1 / (i + 1), "strong") for i, p in enumerate(paths)]
    tiles = [*map(query_tile, query), *match_tiles(matches, paths)]
    write_contact_sheet(folder / "sheet.html", "A & B", tiles)
    return (folder / "sheet.html").read_text()


def test_a_sheet_shows_the_query_and_every_match(tmp_path, photos):
    query = QueryPart("cat.jpg", 1, photos / "cat.jpg", Image.new("RGB", (9, 9)))
    page = write(tmp_path, [query], [photos / "cat.jpg", Path("/nowhere/<b>gone</b>.jpg"), None])
    assert len(re.findall("data:image/jpeg;base64,", page)) == 2
    assert "1.0000" in page and "0.3333" in page and page.count("strong</span>") == 3
    assert "<b>gone" not in page and "&lt;b&gt;gone" in page and "A &amp; B" in page
    assert "only its embedding is stored" in page and "No such file" in page


def test_pictures_link_to_their_files(tmp_path, photos):
    hostile = tmp_path / "a \"quoted\" & <b>'50%' #1?.jpg"
    hostile.write_bytes((photos / "cat.jpg").read_bytes())
    paths = [photos / "cat.jpg", hostile, Path("/写真/\udcff gone.jpg"), None]
    found = Page(write(tmp_path, [QueryPart("cat.jpg", 1, photos / "cat.jpg")], paths))
    assert len(found.links) == 4 and len(found.titles) == 5
    assert found.titles[1:3] == [str(photos / "cat.jpg"), str(hostile)]
    for link, path in zip(found.links[1:], paths[:3], strict=True):
        scheme, _, rest = link.partition("://")
        assert scheme == "file" and not set("\"'<> #?&") & set(rest)
        assert unquote_to_bytes(rest) == bytes(path)


def test_pictures_of_one_name_show_their_folders(tmp_path):
    deep = "a folder of a name that is long/another folder of a name that is long"
    paths = [Path(f"/pictures/{year}/{deep}/IMG_0001.jpg") for year in (2023, 2024)]
    page = write(tmp_path, [], paths)
    folders = re.findall('class="folder">(.*?)</span>', page.replace("<wbr>", ""))
    assert len(set(folders)) == 2 and "2023" in folders[0] and "2024" in folders[1]
    assert all(len(folder) <= 44 for folder in folders)


def test_a_query_of_words_shows_them_and_its_weights(tmp_path):
    parts = [QueryPart("a red <bicycle>", 1, is_words=True), QueryPart("rain", -0.5, is_words=True)]
    page = write(tmp_path, parts, [])
    assert '<span class="words">a red &lt;bicycle&gt;</span>' in page
    assert "<strong>query</strong>" in page and "<strong>not, weight 0.5</strong>" in page


def test_a_sheet_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(InputError, match="cannot write the contact sheet"):
        write_contact_sheet(tmp_path / "file" / "sheet.html", "t", [])
