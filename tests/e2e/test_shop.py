"""The example shop: filled, and asked for similar products."""

import csv
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from tests.places import REPO

pytestmark = pytest.mark.nightly

SHOP, PRODUCTS = REPO / "examples" / "shop", REPO / "examples" / "products"


@pytest.fixture
def client(database_url, monkeypatch):
    environment = os.environ | {"SHOP_DATABASE": database_url}
    for _ in range(2):  # it can be filled again
        done = subprocess.run(
            [sys.executable, "fill.py"], cwd=SHOP, env=environment, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.startswith("The shop has ")
    monkeypatch.setenv("SHOP_DATABASE", database_url)
    monkeypatch.syspath_prepend(SHOP)
    import app
    import models
    from starlette.testclient import TestClient

    with TestClient(app.app) as client:
        yield client
    models.engine.dispose()
    for name in ("app", "models"):
        del sys.modules[name]


def picture(path):
    with Image.open(path) as image:
        return image.convert("RGB")


def test_similar_products(client, embedded_model):
    with (PRODUCTS / "products.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    listed = client.get("/products").json()
    assert [each["name"] for each in listed] == [row["name"] for row in rows]

    pictures = [picture(PRODUCTS / row["path"]) for row in rows]
    vectors = embedded_model.embed_images(pictures).astype(np.float64)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    order = np.argsort(-(vectors @ vectors[2]), kind="stable")

    def expected(most):
        cheap = [i for i in order if i != 2 and float(rows[i]["price"]) <= most]
        return [rows[i]["name"] for i in cheap[:3]]

    number = listed[2]["id"]
    for most in (1e9, 50):
        answer = client.get(f"/products/{number}/similar", params={"k": 3, "max_price": most})
        assert [each["name"] for each in answer.json()] == expected(most)
    assert client.get("/products/999/similar").status_code == 404


def test_the_docs_show_its_code():
    page = (REPO / "docs" / "sqlalchemy.md").read_text()
    block = page.partition("## A shop")[2].partition("```py\n")[2].partition("```")[0]
    code = {line.strip() for line in (SHOP / "app.py").read_text().splitlines()}
    assert block and {line.strip() for line in block.splitlines()} <= code
