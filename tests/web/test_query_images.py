"""Images that queries refer to, over HTTP."""

import hashlib
from io import BytesIO

from PIL import Image


def test_an_image_is_kept_and_shown(api, photos):
    content = (photos / "cat.jpg").read_bytes()
    answer = api.post("/query-images", files=[("image", ("cat.jpg", content))])
    name = hashlib.sha256(content).hexdigest()
    assert answer.json() == {"images": [{"hash": name, "name": "cat.jpg"}]}
    shown = api.get(f"/query-images/{name}/thumbnail")
    assert Image.open(BytesIO(shown.content)).size == (451, 300)
    assert "immutable" in shown.headers["cache-control"]


def test_what_is_no_image(api, photos):
    broken = (photos / "cat.jpg").read_bytes()[:500]
    answer = api.post("/query-images", files=[("image", ("a <b>.jpg", broken))])
    assert (answer.status_code, answer.json()["detail"][:9]) == (422, "a <b>.jpg")
    assert api.post("/query-images", data={"a": "b"}).status_code == 422
    assert api.get(f"/query-images/{'0' * 64}/thumbnail").status_code == 404
    assert api.get("/query-images/none/thumbnail").status_code == 422
    image = {"sec-fetch-dest": "image"}
    assert api.get(f"/query-images/{'0' * 64}/thumbnail", headers=image).status_code == 200


def test_a_token_that_only_reads_may_ask(served, photos):
    content = (photos / "bee.jpg").read_bytes()
    with served.client(token=served.read_token) as client:
        answer = client.post("/query-images", files=[("image", ("bee.jpg", content))])
        assert answer.status_code == 200
        assert client.post("/undo/none").status_code == 403
        assert client.post("/parts/jobs/none/stop").status_code == 403


def test_undo_and_jobs_that_are_unknown(api):
    assert api.post("/undo/none").json()["detail"] == "this can no longer be undone"
    assert api.get("/parts/jobs/none/events").status_code == 404
