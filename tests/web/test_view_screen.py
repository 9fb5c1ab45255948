"""Screening of uploaded images over HTTP."""

import hashlib
import re


def verdicts(text):
    """Return the classes of the verdicts in a page."""
    return [found.split() for found in re.findall(r'<li class="card flush (verdict[^"]*)"', text)]


def test_a_match_and_a_clean_image(api, photos):
    files = [
        ("image", ("dark.jpg", (photos / "cat-dark.jpg").read_bytes())),
        ("image", ("broken.jpg", b"\xff\xd8\xff<script>")),
    ]
    form = {"collection": "image_embeddings", "min": "0.5"}
    answer = api.post("/screen", files=files, data=form, headers={"hx-request": "true"})
    assert verdicts(answer.text) == [["verdict", "is-match"]]
    assert "broken.jpg: " in answer.text
    assert "The image matches" in answer.text
    strict = api.post("/screen", files=files[:1], data={"min": "1"}, follow_redirects=True)
    assert verdicts(strict.text) == [["verdict", "is-match"]]  # it is stored itself
    clean = api.post("/screen", files=files[:1], data={"min": "1.1"}, follow_redirects=True)
    assert verdicts(clean.text) == [["verdict"]]
    assert "The image is clean" in clean.text


def test_the_url_holds_the_state(api, photos):
    contents = [(photos / name).read_bytes() for name in ("cat.jpg", "bee.jpg")]
    hashes = [hashlib.sha256(content).hexdigest() for content in contents]
    files = [("image", ("x", content)) for content in contents]
    answer = api.post("/screen", files=files)
    assert answer.status_code == 303
    assert answer.headers["location"] == f"/screen?image={hashes[0]}&image={hashes[1]}"
    shown = api.get(answer.headers["location"]).text
    assert verdicts(shown) == [["verdict", "is-match"]] * 2
    more = api.post("/screen", files=files[:1], data={"kept": hashes[1], "min": "0.25"})
    assert more.headers["location"] == f"/screen?min=0.25&image={hashes[1]}&image={hashes[0]}"


def test_images_that_are_no_longer_kept(api):
    shown = api.get("/screen", params={"image": ["0" * 64, "../x"]}).text
    assert verdicts(shown) == [["verdict", "is-unknown"]]
    assert "no longer kept" in shown


def test_odd_questions(api):
    assert api.get("/screen?collection=none").status_code == 404
    assert api.get("/screen?min=x").status_code == 422
    assert api.get("/screen?min=nan").status_code == 422


def test_too_many_images(api):
    kept = [f"{number:064x}" for number in range(40)]
    assert api.post("/screen", data={"kept": kept}).status_code == 413


def test_a_token_that_only_reads_may_screen(served, photos):
    with served.client(token=served.read_token) as client:
        files = [("image", ("x.jpg", (photos / "cat.jpg").read_bytes()))]
        assert client.post("/screen", files=files).status_code == 303
