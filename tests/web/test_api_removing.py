"""Images that are removed over HTTP, and put back."""

import pytest

import lookalike
from tests.web.pictures import jpeg

API = "/api/v1"


@pytest.fixture
def photos(served, served_photos, tmp_path):
    """A collection of a picture, its copy, its mirror image, and others."""
    for name in ("cat.jpg", "copy.jpg", "cat-mirrored.jpg", "rocket.jpg", "bee.jpg"):
        source = "cat.jpg" if name == "copy.jpg" else name
        (tmp_path / name).write_bytes((served_photos / source).read_bytes())
    with lookalike.connect(served.database_url) as db:
        collection = db.collection("removing")
        collection.add(tmp_path)
        yield collection
        db.delete_collection("removing")


@pytest.fixture
def ask(api):
    def request(method, path, status=200, **options):
        parameters = {} if path.startswith("/undo/") else {"collection": "removing"}
        response = api.request(method, API + path, params=parameters, **options)
        assert response.status_code == status, response.text
        return response.json()

    return request


def everything(collection):
    ids = sorted(item.id for item in collection.browse())
    return [
        (item.id, item.image_name, item.path, item.embedding.tolist(), item.attributes)
        for item in collection.get(ids)
    ]


def test_rows_are_removed_and_put_back_and_files_stay(ask, photos, tmp_path):
    ids = [record.id for record in photos.find(tmp_path)]
    photos.attributes.update({ids[0]: {"tags": ["a"]}})
    before, files = everything(photos), sorted(tmp_path.iterdir())
    one = ask("DELETE", f"/images/{ids[0]}")
    assert one["removed"] == 1
    several = ask("DELETE", "/images", json={"ids": ids[1:3]})
    assert several["removed"] == 2 and photos.count() == 2
    assert sorted(tmp_path.iterdir()) == files
    ask("DELETE", "/images", 404, json={"ids": [ids[3], ids[0]]})
    ask("DELETE", f"/images/{ids[0]}", 404)
    ask("DELETE", "/images", 422, json={"ids": []})
    assert photos.count() == 2
    assert ask("POST", f"/undo/{several['undo']}") == {"message": "2 images put back"}
    assert ask("POST", f"/undo/{one['undo']}") == {"message": "1 image put back"}
    assert everything(photos) == before
    ask("POST", f"/undo/{one['undo']}", 404)


def test_an_upload_that_was_removed_can_be_uploaded_again(api, ask, photos):
    sent = {"files": {"image": ("new.jpg", jpeg(70))}}
    first = ask("POST", "/images", 201, **sent)["images"][0]["id"]
    removed = ask("DELETE", f"/images/{first}")
    again = ask("POST", "/images", 201, **sent)["images"][0]
    assert again["error"] is None and photos.count() == 6
    told = ask("POST", f"/undo/{removed['undo']}")["message"]
    assert "put back" in told and photos.count() == 6


def found(api, ask):
    job = ask("POST", "/duplicates", 202, json={"tier": "near-duplicate"})
    while api.get(job["links"]["self"]).json()["state"] == "running":
        pass
    return ask("GET", "/duplicates")["groups"]


def test_duplicates_go_to_the_trash_by_explicit_ids_alone(api, ask, photos, tmp_path):
    (group,) = found(api, ask)
    keep, (first, second) = group["keep"], group["duplicates"]
    (other,) = photos.find(tmp_path / "rocket.jpg")
    ask("POST", "/duplicates/trash", 422, json={"ids": [keep["id"], first["id"], second["id"]]})
    ask("POST", "/duplicates/trash", 422, json={"ids": [first["id"], other.id]})
    ask("POST", "/duplicates/trash", 422, json={})
    ask("POST", "/duplicates/trash", 422, json={"tier": "similar"})
    before = everything(photos)
    assert photos.count() == 5 and len(list(tmp_path.iterdir())) == 5
    removed = ask("POST", "/duplicates/trash", json={"ids": [first["id"]]})
    assert removed["removed"] == [first["id"]] and removed["failed"] == []
    assert photos.count() == 4 and len(list(tmp_path.iterdir())) == 4
    (left,) = ask("GET", "/duplicates")["groups"]
    assert [image["id"] for image in left["duplicates"]] == [second["id"]]
    assert "1 image put back" in ask("POST", f"/undo/{removed['undo']}")["message"]
    assert everything(photos) == before and len(list(tmp_path.iterdir())) == 5
    (left,) = ask("GET", "/duplicates")["groups"]
    assert len(left["duplicates"]) == 2


def test_a_changed_file_stays(api, ask, photos, tmp_path):
    (group,) = found(api, ask)
    image = group["duplicates"][0]
    (tmp_path / image["image_name"]).write_bytes(jpeg(71))
    removed = ask("POST", "/duplicates/trash", json={"ids": [image["id"]]})
    assert removed["removed"] == [] and removed["undo"] is None
    assert removed["failed"][0]["path"] == image["path"]
    assert photos.count() == 5


def test_the_image_to_keep_may_go_if_another_stays(api, ask, photos):
    (group,) = found(api, ask)
    removed = ask("POST", "/duplicates/trash", json={"ids": [group["keep"]["id"]]})
    assert removed["removed"] == [group["keep"]["id"]]
    (left,) = ask("GET", "/duplicates")["groups"]
    ids = {left["keep"]["id"], *(image["id"] for image in left["duplicates"])}
    assert ids == {image["id"] for image in group["duplicates"]}
    ask("POST", f"/undo/{removed['undo']}")
