"""The collections, and adding images to them, over HTTP."""

import shutil
import time

import pytest

import lookalike
from lookalike.web.problems import Problem
from lookalike.web.roots import allowed_folder, folders_below


@pytest.fixture
def tree(tmp_path):
    root = tmp_path / "root"
    for name in ("a/b/c", "d", ".hidden"):
        (root / name).mkdir(parents=True)
    (tmp_path / "outside").mkdir()
    (root / "link").symlink_to(tmp_path / "outside")
    (root / "file").write_bytes(b"")
    return root


def test_folders_to_choose_from(tree):
    names = ["", "/a", "/a/b", "/d"]
    assert folders_below([tree]) == [f"{tree}{name}" for name in names]


@pytest.mark.parametrize("name", ["a", "a/b/c", ".", "a/../d"])
def test_folders_below_a_root_are_allowed(tree, name):
    assert allowed_folder([tree], name) == (tree / name).resolve()
    assert allowed_folder([tree], str(tree / name)) == (tree / name).resolve()


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("..", 403),
        ("/", 403),
        ("link", 403),
        ("a/../../outside", 403),
        ("../root2", 403),
        ("none", 404),
        ("file", 404),
        ("x" * 5000, 404),
        ("a\0b", 403),
        ("~nobody-at-all/x", 404),
    ],
)
def test_other_folders_are_not(tree, name, status):
    with pytest.raises(Problem) as caught:
        allowed_folder([tree], name)
    assert caught.value.status == status


def test_without_a_root_nothing_is_allowed(tree):
    with pytest.raises(Problem, match="--root"):
        allowed_folder([], str(tree))


def test_the_page_tells_of_the_collection(api):
    text = api.get("/collections").text
    assert "image_embeddings" in text
    assert "efficientnet-lite2" in text
    assert "<img src=x" not in text


def test_tables_of_the_users_own(api, served):
    with lookalike.connect(served.database_url) as db:
        db.rows("CREATE TABLE shoes (sku INT PRIMARY KEY, photo VECTOR(2))")
        db.rows("INSERT INTO shoes VALUES (7, STRING_TO_VECTOR('[1,0]'))")
        try:
            db.table("shoes")
            text = api.get("/collections").text
            assert "Your own tables" in text
            assert "shoes.photo" in text
        finally:
            db.drop_index("shoes")
            db.rows("DROP TABLE shoes")
    assert "Your own tables" not in api.get("/collections").text


def events_of(api, page):
    """Return the events of the job that a page shows."""
    place = page.partition('sse-connect="')[2].partition('"')[0]
    return api.get(place).text


def test_an_add_shows_its_progress_and_its_end(api, served_photos):
    folder = served_photos / "added"
    folder.mkdir()
    try:
        shutil.copy(served_photos / "bee.jpg", folder)
        (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff<b>")
        form = {"collection": "added", "folder": str(folder)}
        answer = api.post("/collections/add", data=form)
        assert (answer.status_code, answer.headers["location"]) == (303, "/collections#c-added")
        page = api.get("/collections").text
        if 'sse-connect="' in page:  # it may have ended
            events = events_of(api, page)
            assert "event: end" in events
            assert events.rstrip().endswith("data: done")
        deadline = time.monotonic() + 30
        while "1 image added" not in (part := api.get("/parts/collections/added").text):
            assert time.monotonic() < deadline, part
            time.sleep(0.1)
        assert "1 failed" in part
        assert "broken.jpg" in part
        again = api.post("/collections/add", data=form, headers={"hx-request": "true"})
        assert (again.status_code, again.headers["hx-refresh"]) == (204, "true")
    finally:
        shutil.rmtree(folder)


@pytest.mark.parametrize(
    ("form", "status", "told"),
    [
        ({"collection": "x", "folder": "/"}, 403, "not below an allowed folder"),
        ({"collection": "x", "folder": ""}, 422, "name the folder"),
        ({"collection": "no name", "folder": "."}, 400, "no name"),
    ],
)
def test_what_cannot_be_added(api, form, status, told):
    answer = api.post("/collections/add", data=form)
    assert answer.status_code == status
    assert told in answer.json()["detail"]


def test_unknown_collections(api):
    assert api.get("/parts/collections/none").status_code == 404


def test_a_token_that_only_reads_adds_nothing(served):
    with served.client(token=served.read_token) as client:
        assert client.post("/collections/add", data={"folder": "."}).status_code == 403
        assert "/collections/add" not in client.get("/collections").text
