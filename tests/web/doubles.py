"""A collection with duplicates of every kind, whose files may be removed."""

from __future__ import annotations

import shutil
from pathlib import Path
from urllib.parse import quote

import httpx
from PIL import Image

import lookalike
from tests.places import PHOTOS
from tests.web.serving import Served

NAME = "doubles"


def make_doubles(served: Served, folder: Path, collection: str = NAME) -> Path:
    """Fill the collection anew: a cat and its copy, smaller bees, and a coffee of its own."""
    (folder / "copies").mkdir(parents=True)
    for name in ("cat.jpg", "bee.jpg", "coffee.jpg"):
        shutil.copy(PHOTOS / name, folder)
    shutil.copy(PHOTOS / "cat.jpg", folder / "copies" / "cat again.jpg")
    bee = Image.open(PHOTOS / "bee.jpg")
    for width in (500, 400):
        smaller = bee.resize((width, width * bee.height // bee.width))
        smaller.save(folder / "copies" / f"bee-{width}.jpg", quality=80)
    with lookalike.connect(served.database_url) as db:
        if collection in db.collections():
            db.delete_collection(collection)
        db.collection(collection, model="efficientnet-lite2").add(folder, facts=True)
    return folder


def search(api: httpx.Client, collection: str = NAME) -> str:
    """Search the collection for duplicates; return the page once that is done."""
    where = {"collection": collection}
    form = {"tier": "near-duplicate"}
    assert api.post("/duplicates/search", params=where, data=form).status_code == 303
    text = api.get("/duplicates", params=where).text
    events = text.partition('sse-connect="')[2].partition('"')[0]
    if events:
        assert "data: done" in api.get(events).text
    return api.get("/duplicates", params=where).text


def post(api: httpx.Client, group: str, what: str, **form: object) -> httpx.Response:
    """Decide on a group."""
    path = f"/duplicates/{quote(group)}/{what}"
    return api.post(path, params={"collection": NAME}, data=form)
