"""Similar products: the page of the documentation, and what people get for mistakes."""

import json
import os
import re
import shlex
import shutil
from pathlib import Path

import pytest

from tests.places import REPO

PAGE = REPO / "docs" / "products.md"
PRODUCTS = REPO / "examples" / "products"
MODEL = ("--model", "efficientnet-lite2")
HAT = str(PRODUCTS / "hats" / "fedora-red.jpg")


def names(table):
    """The paths of a table below the folder of the products: the last two parts."""
    rows = [line.split("|")[1].strip() for line in table.splitlines() if line.startswith("|")]
    return ["/".join(Path(row).parts[-2:]) for row in rows[1:]]


ADD = ("add", PRODUCTS, "--attributes", PRODUCTS / "products.csv", *MODEL)


@pytest.fixture
def own_shop(run):
    """Run a command on the example's products, stored with their attributes."""

    def in_shop(command, *args, **options):
        return run(command, *args, "--collection", "products", **options)

    in_shop(*ADD)
    return in_shop


@pytest.fixture(scope="module")
def filled(module_database_url, preloaded, tmp_path_factory):
    """The URL of a database with the products, for tests that only read."""
    home = tmp_path_factory.mktemp("home")
    env = {**os.environ, "LOOKALIKE_DATABASE": module_database_url, "HOME": str(home)}
    command = [*map(str, ADD), "--collection", "products"]
    done = preloaded.run(command, "", cwd=home, env=env)
    assert done.returncode == 0, done.stderr
    return module_database_url


@pytest.fixture
def shop(run, filled):
    """Run a command that only reads the products."""

    def in_shop(command, *args, **options):
        place = {"LOOKALIKE_DATABASE": filled}
        return run(command, *args, "--collection", "products", **place, **options)

    return in_shop


def test_the_pages_commands_give_the_pages_results(run):
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", PAGE.read_text(), re.S | re.M)
    blocks = [block for language, block in fenced if not language]
    tables = [block for language, block in fenced if language == "text"]
    printed = []
    for line in "".join(block for block in blocks if block.startswith("lookalike ")).splitlines():
        command, *args = shlex.split(line)[1:]
        model = MODEL if command == "add" and args[0] != "--attributes" else ()
        args = [str(REPO / arg) if arg.startswith("examples/") else arg for arg in args]
        printed.append((command, run(command, *args, *model)))
    searches = [done.stdout for command, done in printed if command == "search"]
    assert names(searches[0]) == names(tables[0]) and len(searches) == 5
    assert names(searches[1]) == ["shoes/tennis-shoes.jpg", "shoes/hiking-boot.jpg"]
    assert set(names(searches[2])) == {f"hats/{n}.jpg" for n in ("cowboy", "aussie", "slouch")}
    assert "hats/" not in searches[3] and len(names(searches[3])) == 10
    shown = [[cell.strip() for cell in row.split("|")] for row in searches[4].splitlines()[3:-1]]
    assert {(row[1].split("/")[-1], *row[-3:-1]) for row in shown} == {
        ("baseball-cap.jpg", "19.9", "summer, sport"),
        ("cap-blue.jpg", "17.9", "summer, sport"),
        ("bobble.jpg", "24.9", "winter"),
        ("party-blue.jpg", "2.5", "party"),
        ("party-pink.jpg", "2.5", "party"),
    }


def test_the_pages_python_runs(db, monkeypatch):
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S)
    monkeypatch.chdir(REPO)
    block = block.replace('Path("hat.jpg")', 'Path("examples/products/hats/fez.jpg")')
    given = {"db": db, "Path": Path}
    exec(compile(block, str(PAGE), "exec"), given)
    found = given["products"].search("hats/fez.jpg", where="stock>=4", exclude_self=False)
    assert [match.image_name for match in found] == ["hats/fez.jpg"]


def test_attributes_are_told_and_set_again(own_shop, tmp_path):
    done = own_shop("add", "--attributes", PRODUCTS / "products.csv")
    assert (
        "Set attributes of 38 images: brand (text), category (text), name (text), pri"
        in done.stderr
    )
    file = tmp_path / "more.csv"
    file.write_text("path,price\nhats/fez.jpg,1\nhats/fzz.jpg,2\n")
    done = own_shop("add", "--attributes", file, status=1)
    assert "1 row without a stored image: line 3: hats/fzz.jpg" in done.stderr
    assert (
        "Set attributes of 1 image; 37 in products have no row in the file: price (number)."
        in done.stderr
    )
    report = json.loads(own_shop("add", "--attributes", file, "--json", status=1).stdout)
    assert report["attributes"]["unmatched"] == ["line 3: hats/fzz.jpg"]
    assert "several kinds" not in done.stderr
    found = json.loads(own_shop("search", HAT, "--where", "price<=1", "--json").stdout)
    assert [match["image_name"] for match in found["matches"]] == ["hats/fez.jpg"]


def test_a_value_of_another_kind_is_told(own_shop, tmp_path):
    (tmp_path / "more.csv").write_text("path,price\nhats/fez.jpg,49 EUR\n")
    done = own_shop("add", "--attributes", tmp_path / "more.csv")
    assert "price has values of several kinds (number/text)" in done.stderr


def test_a_bad_file_adds_nothing(run, tmp_path):
    file = tmp_path / "bad.csv"
    file.write_text("path,price\nhats/fez.jpg,1,2\n")
    done = run("add", PRODUCTS, "--attributes", file, *MODEL, status=2)
    assert "bad.csv, line 2: expected 2 values as in the header, found 3" in done.stderr
    assert "sql" not in run("sql", "SHOW TABLES", "--json").stdout.replace("[]", "")
    shutil.copy(PRODUCTS / "products.csv", file)
    done = run("add", PRODUCTS / "shoes", "--attributes", file, *MODEL, status=2)
    assert "no path in" in done.stderr and "line 2: bags/suitcases.jpg" in done.stderr


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("price<cheap", "price<cheap: price is a number; 'cheap' is not a number"),
        ("brnd=Nordic", "'products' has no attribute 'brnd' (did you mean 'brand'?); it has"),
        ("tags=summer", "tags is a list; to find a value in the list, write tags:..."),
        ("brand", "cannot read the condition 'brand'"),
        ("brand==Nordic", "cannot read"),
        (
            "category=shoes,boots",
            "put a value that contains quotes, the words and, or, or any of , ( ) = < > ~ in",
        ),
        ("brand=Nordic or Jubilee", "cannot read 'Jubilee' of the condition"),
        ("price<5 or brnd=Nordic", "no attribute 'brnd' (did you mean 'brand'?)"),
        ("modfied>2024", "no attribute 'modfied' (did you mean 'modified'?)"),
        ("modified>soon", "modified is a time; 'soon' is not; write 2024, 2024-06, 2024-06-01 or"),
        ("brand=x'; DROP TABLE products; -- ", ""),
    ],
)
def test_mistakes_are_told_in_one_line(shop, where, message):
    done = shop("search", HAT, "--where", where, status=2 if message else 0)
    assert message in done.stderr and done.stdout == "" and done.stderr.count("\n") == 1


def test_nothing_that_passes_is_told(shop):
    done = shop("search", HAT, "--where", "brand=nordic")
    assert "No image matches the filter (letter case matters)." in done.stderr
    done = shop("search", HAT, "--where", "category=boots", "--min-similarity", 0.99)
    assert "No image that matches the filter is that similar." in done.stderr


def test_the_plan_is_explained_and_the_sql_has_the_filter(run, own_shop):
    explained = json.loads(
        own_shop("search", HAT, "--where", "price<5", "--explain", "--json").stdout
    )
    assert explained["plan"] == "filter first" and len(explained["matches"]) == 2
    sql = own_shop("search", HAT, "--where", "brand=Levi's 100%", "--show-sql").stdout
    assert "= 'Levi''s 100%'" in sql
    assert json.loads(run("sql", sql, "--json").stdout) == []


def test_an_attribute_is_indexed(own_shop):
    assert "Indexed price of products." in own_shop("index", "attribute", "price").stderr
    done = own_shop("index", "attribute", "price", "tags", "--json")
    assert json.loads(done.stdout)["made"] == {"price": False, "tags": True}
    assert "no attribute 'prize'" in own_shop("index", "attribute", "prize", status=2).stderr


def test_a_collection_without_attributes(run, photos):
    run("add", photos / "cat.jpg", *MODEL)
    done = run("search", "cat.jpg", "--where", "brand=acme", status=2)
    assert "'image_embeddings' has no attributes to filter by: add some with" in done.stderr
    assert "Missing argument 'PATH...'" in run("add", status=2).stderr


def test_files_are_filtered_by_name_path_and_time(own_shop, tmp_path):
    for name in ("old.jpg", "new.jpg"):
        shutil.copy(HAT, tmp_path / name)
    os.utime(tmp_path / "old.jpg", (1_600_000_000, 1_600_000_000))  # in 2020
    own_shop("add", tmp_path / "old.jpg", tmp_path / "new.jpg")

    def found(*where):
        conditions = [part for each in where for part in ("--where", each)]
        done = own_shop("search", HAT, *conditions, "-k", 50, "--json", "--include-self")
        return {Path(match["path"]).name for match in json.loads(done.stdout)["matches"]}

    assert found("modified=2020") == found("modified<2020-09-14") == {"old.jpg"}
    assert found("modified>2020", "price is missing") == {"new.jpg"}
    assert found(f"path in (new.jpg, {tmp_path}/none.jpg)") == {"new.jpg"}  # in this folder
    assert found(f"path~{tmp_path}/") == found("brand is null") == {"old.jpg", "new.jpg"}
    assert found("image_name=hats/fez.jpg or image_name~OLD.JPG") == {"fez.jpg", "old.jpg"}


def test_attributes_are_shown_on_request(shop):
    where = ("--where", "image_name in (hats/fez.jpg, hats/top-hat.jpg)")
    plain = shop("search", HAT, *where).stdout
    assert "price" not in plain
    shown = shop("search", HAT, *where, "--show", "tags, price", "--ids").stdout.splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in shown if "|" in line]
    assert rows[0] == ["id", "path", "similarity", "match", "tags", "price"]
    prices = {row[1].split("/")[-1]: row[4:] for row in rows[1:]}
    assert prices["fez.jpg"] == ["party", "39.0"] and prices["top-hat.jpg"] == ["party", "29.0"]
    every = shop("search", HAT, *where, "--show", "all").stdout.splitlines()[1]
    names = [cell.strip() for cell in every.split("|")[4:-1]]
    assert names == ["brand", "category", "name", "price", "tags"]
    done = json.loads(shop("search", HAT, *where, "--json").stdout)["matches"]
    fez = next(match for match in done if match["image_name"] == "hats/fez.jpg")
    expected = {"name": "Fez with tassel", "brand": "Fratelli", "category": "hats", "price": 39.0}
    assert fez["attributes"] == {**expected, "tags": ["party"]}
    done = json.loads(shop("search", HAT, *where, "--json", "--show", "price").stdout)["matches"]
    assert {tuple(match["attributes"]) for match in done} == {("price",)}
    explained = shop("search", HAT, *where, "--explain", "--show", "price").stdout.splitlines()
    (header,) = (line for line in explained if line.startswith("| path"))
    assert header.split("|")[-2].strip() == "price"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["--show", "prize"], "'products' has no attribute 'prize' (did you mean 'price'?)"),
        (["--show", "price,,"], "has no attribute ''"),
        (["--show", "price", "--paths-only"], "--paths-only prints only paths: leave out --show"),
        (["--show", "price", "--show-sql"], "--show-sql shows no results: leave out --show"),
    ],
)
def test_what_cannot_be_shown_is_told_in_one_line(shop, args, message):
    done = shop("search", HAT, *args, status=2)
    assert message in done.stderr and done.stdout == "" and done.stderr.count("\n") == 1


def test_attributes_are_listed_and_dropped(run, own_shop, on_terminal):
    listed = json.loads(own_shop("attributes", "--json").stdout)
    assert {(each["name"], each["kind"], each["rows"]) for each in listed} == {
        ("brand", "text", 38),
        ("category", "text", 38),
        ("name", "text", 38),
        ("price", "number", 38),
        ("tags", "list", 33),
    }
    assert "| price    | number | " in own_shop("attributes").stdout
    for how in ((), ("--dry-run",)):
        done = own_shop("attributes", "drop", "tags", *how, status=0 if how else 2)
        told = "Would drop tags of 33 images in products. The images stay."
        assert (told if how else "nothing was dropped: there is no terminal") in done.stderr
    product = ("attributes", "drop", "tags", "--collection", "products")
    said = on_terminal(*product, types="n\n", status=2)
    assert "Drop tags of 33 images in products? The images stay." in said
    assert json.loads(own_shop("attributes", "--json").stdout) == listed
    assert "Dropped tags of 33 images" in on_terminal(*product, types="y\n")
    done = own_shop("attributes", "drop", "brand", "--yes", "--json")
    assert json.loads(done.stdout) == {
        "collection": "products",
        "name": "brand",
        "images": 38,
        "is_dry_run": False,
    }
    left = [each["name"] for each in json.loads(own_shop("attributes", "--json").stdout)]
    assert left == ["category", "name", "price"]
    error = own_shop("attributes", "drop", "prise", "--yes", status=2).stderr
    assert "no attribute 'prise' (did you mean 'price'?)" in error and error.count("\n") == 1
    error = run("attributes", "--quiet", "drop", "price", status=2).stderr
    assert "give the options after drop" in error


def test_the_status_lists_attributes_and_the_threshold(run, own_shop, photos):
    run("add", photos / "cat.jpg", *MODEL)
    assert "attributes  none" in run("status", "--collection", "image_embeddings").stdout
    assert "No attributes in image_embeddings." in run("attributes").stderr
    said = own_shop("status").stdout
    assert (
        "  attributes  brand (text, 38), category (text, 38), name (text, 38), price (num" in said
    )
    assert "threshold" not in said
    product = ("--collection", "products")
    examples = ("--positives", PRODUCTS / "hats", "--negatives", PRODUCTS / "shoes")
    run("calibrate", *examples, "--store", *product)
    threshold = json.loads(run("status", "--json", *product).stdout)[0]["threshold"]
    assert f"  threshold   {threshold:.4g} (of `screen`)" in own_shop("status").stdout
    (status,) = json.loads(run("status", "--json", *product).stdout)
    assert {"name": "price", "kind": "number", "rows": 38} in status["attributes"]
