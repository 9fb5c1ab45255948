"""`lookalike index` on a table of the user's own."""

import json

import numpy as np
import pytest

import lookalike


@pytest.fixture
def products(database_url):
    rng = np.random.default_rng(0)
    with lookalike.connect(database_url) as db:
        db.rows("CREATE TABLE products (sku INT PRIMARY KEY, title VARCHAR(99), photo VECTOR(32))")
        for sku, vector in enumerate(rng.standard_normal((300, 32)).astype(np.float32)):
            db.rows("INSERT INTO products VALUES (%s, %s, %s)", (sku, f"hat {sku}", vector))
        yield db


def test_a_table_is_indexed_searched_refreshed_and_left(run, products):
    database = products.rows("SELECT DATABASE()")[1][0][0]
    made = run("index", "create", f"{database}.products.photo", "--name", "title", "--as", "hats")
    assert f"table    {database}.products, key sku, names in title" in made.stdout
    assert "kept by  triggers: triggers log every change" in made.stdout
    found = run("search", "hat 7", "--collection", "hats", "-k", 1, "--include-self", "--json")
    assert json.loads(found.stdout)["matches"][0]["id"] == 7
    products.rows("DELETE FROM products WHERE sku = 7")
    status = json.loads(run("index", "status", "--json").stdout)
    assert [(each["name"], each["pending"], each["indexed"]) for each in status] == [
        ("hats", 1, 300)
    ]
    assert "pending  1 change or new row is searched exactly" in run("index", "status").stdout
    refreshed = run("index", "refresh", "--collection", "hats").stdout
    assert "nothing: the index is up to date" in refreshed
    assert "hats: 299 embeddings, 299 codes" in run("index", "check", "--collection", "hats").stderr
    products.rows("DROP TRIGGER lookalike_1_delete")
    checked = run("index", "check", "--collection", "hats", status=1)
    assert "Trigger lookalike_1_delete is missing." in checked.stderr
    assert "lookalike index rebuild --collection hats" in checked.stderr
    run("index", "rebuild", "--collection", "hats")
    assert "Dropped the index of hats" in run("index", "drop", "hats").stderr
    assert "No table of yours has an index" in run("index", "status").stderr


def test_the_server_refreshes_the_index(run, products):
    run("index", "create", "products.photo")
    run("install-functions")
    done = run("index", "refresh", "--schedule", "--every", "30s", "--collection", "products")
    assert "event    the server refreshes it every 30 seconds" in done.stdout
    assert json.loads(run("index", "status", "--json").stdout)[0]["scheduled"] == "every 30 seconds"
    done = run("index", "refresh", "--unschedule", "--collection", "products")
    assert "event" not in done.stdout
    for args, message in (
        (["--every", 5], "--every goes with --watch or --schedule"),
        (["--schedule", "--every", 0.5], "--schedule takes whole seconds"),
        (["--schedule", "--every", "soon"], "'soon' is no time from 0.1s to 24h"),
        (["--watch", "--every", "0"], "'0' is no time from 0.1s to 24h"),
        ([], "there is no collection 'image_embeddings'"),
        ([], "the collections are: products"),
        (["--schedule", "--watch"], "--watch does not go with --schedule"),
    ):
        assert message in run("index", "refresh", *args, status=2).stderr


@pytest.mark.parametrize(
    "args, message",
    [
        (["create", "photo"], "'photo' is not TABLE.COLUMN or DATABASE.TABLE.COLUMN"),
        (["create"], "name a table and its column, as shop.products.embedding"),
        (["create", "products.photo", "--table", "x"], "--table and --column, not both"),
        (["create", "product.photo"], "there is no table 'product' in .*; did you mean products?"),
        (["create", "products.foto"], "has no column 'foto'; did you mean photo?"),
        (["create", "products.photo", "--id", "title"], "'title' of products is no key"),
        (["drop", "products"], "no table is registered as 'products'"),
        (["check", "--collection", "products"], "table 'products' is not a collection"),
    ],
)
def test_what_cannot_be_is_one_line_and_a_status(run, products, args, message):
    done = run("index", *args, status=2)
    assert done.stderr.strip().splitlines()[-1].startswith("Error: ")
    assert message.partition(".*")[0] in done.stderr
    assert message.partition(".*")[2] in done.stderr


def test_names_with_dots_are_given_by_options(run, products):
    products.rows("CREATE TABLE `a.b` (id INT PRIMARY KEY, `c.d` VECTOR(2))")
    done = run("index", "create", "--table", "a.b", "--column", "c.d", "--as", "dots")
    assert "vectors  c.d, by cosine" in done.stdout
