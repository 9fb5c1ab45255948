"""Results in a notebook: pictures, with what belongs to each, and nothing that a name injects."""

import base64
import io
import re

import pytest
from PIL import Image

from lookalike import Match, Matches


@pytest.fixture
def album(db, photos, embedded_model):
    images = db.collection("album", model="efficientnet-lite2")
    images.add(photos / "cat.jpg", photos / "cat-dark.jpg", photos / "bridge.jpg")
    return images


def pictures(html):
    """The previews in a piece of HTML, opened."""
    found = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', html)
    return [Image.open(io.BytesIO(base64.b64decode(each))) for each in found]


def test_results_are_a_list_that_shows_pictures(album, photos):
    found = album.search(photos / "cat.jpg")
    assert isinstance(found, list) and found == list(found)
    html = found._repr_html_()
    assert [max(each.size) for each in pictures(html)] == [160] * 3
    names = re.findall(r"<b>(.*?)</b>", html)
    assert names[:2] == ["cat.jpg", "cat-dark.jpg"]
    assert html.index("1.0000") < html.index(f"{found[1].similarity:.4f}")


def test_many_queries_give_one_list_each(album, photos):
    found = album.search_many([photos / "cat.jpg", photos / "bridge.jpg"], k=1)
    assert [type(each) for each in found] == [Matches] * 2


def test_what_has_no_file_is_told(db):
    own = db.collection("own", dim=2)
    own.upsert([[1, 0]], names=["<script>alert(1)</script>"])
    html = own.search([1, 0])._repr_html_()
    assert "only its embedding is stored" in html
    assert "<script>" not in html and "&lt;script&gt;" in html


def test_no_results_and_very_many():
    assert "No matches." in Matches()._repr_html_()
    html = Matches(Match(i, f"name {i}", 0.5) for i in range(60))._repr_html_()
    assert html.count("<figure") == 50 and "and 10 more" in html
