"""What other programs do to collections while a server has them open."""

import threading
import time

import lookalike
from lookalike.web.collections import Collections
from lookalike.web.settings import Settings

API = "/api/v1"
NAME = "elsewhere"
WHERE = {"collection": NAME}


def new(served, dim):
    """Create the collection anew, with one image."""
    with lookalike.connect(served.database_url) as db:
        if NAME in db.collections():
            db.delete_collection(NAME)
        db.collection(NAME, dim=dim).upsert([[1.0] * dim], names=[f"of {dim}"])


def test_a_collection_that_was_created_anew_is_served(served, api):
    for dim in (8, 4):
        new(served, dim)
        body = {"query": {"vector": [1] * dim}}
        end = time.monotonic() + 8
        while (answer := api.post(f"{API}/search", params=WHERE, json=body)).status_code != 200:
            assert time.monotonic() < end, answer.text
            time.sleep(0.2)
        (found,) = answer.json()["results"][0]["matches"]
        assert found["image_name"] == f"of {dim}"
        assert api.get(f"{API}/search", params={**WHERE, "name": f"of {dim}"}).status_code == 200
    with lookalike.connect(served.database_url) as db:
        db.delete_collection(NAME)
    assert api.post(f"{API}/search", params=WHERE, json=body).status_code == 404


def test_a_collection_that_is_the_same_stays_open(served, monkeypatch):
    monkeypatch.setattr("lookalike.web.collections._CHECK_SECONDS", 0.0)
    new(served, 8)
    with lookalike.connect(served.database_url) as db:
        for settings in (Settings(), Settings(model="efficientnet-lite2")):
            collections = Collections(db, settings)
            for name in (None, NAME):
                assert collections.open(name) is collections.open(name)
            collections.close()
        db.delete_collection(NAME)


def test_one_of_several_removals_at_once_removes(served, api):
    new(served, 8)
    (row,) = api.get(f"{API}/images", params=WHERE).json()["images"]
    answers = []

    def remove():
        with served.client() as client:
            answers.append(client.delete(f"{API}/images/{row['id']}", params=WHERE))

    threads = [threading.Thread(target=remove) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    removed, *others = sorted(answers, key=lambda answer: answer.status_code)
    assert removed.json()["removed"] == 1
    assert {answer.status_code for answer in others} <= {400, 404}, [each.text for each in others]
    token = removed.json()["undo"]
    assert api.post(f"{API}/undo/{token}").json() == {"message": "1 image put back"}
    assert api.post(f"{API}/undo/{token}").status_code == 404
    with lookalike.connect(served.database_url) as db:
        db.delete_collection(NAME)
