"""A server that is told to stop while a job runs."""

import time

import pytest
from PIL import Image

import lookalike
from tests.conftest import new_database
from tests.web.serving import serving

MANY = 320  # so many that it is stopped long before the end


@pytest.mark.slow
def test_a_running_add_ends_and_goes_on_later(server, tmp_path):
    folder = tmp_path / "many"
    folder.mkdir()
    noise = Image.effect_noise((500, 500), 90).convert("RGB")
    for number in range(MANY):
        noise.rotate(number).save(folder / f"{number:03}.png", compress_level=0)
    home = tmp_path / "home"
    home.mkdir()
    with new_database(server) as url:
        with serving(url, home, "--root", str(folder)) as served, served.client() as api:
            form = {"collection": "many", "folder": str(folder)}
            assert api.post("/collections/add", data=form).status_code == 303
            place = _events(api)
            with api.stream("GET", place) as stream:
                for line in stream.iter_lines():
                    if f" of {MANY}" in line and ">0 of" not in line:
                        break
                began = time.monotonic()
                assert served.stop() == 0
            assert time.monotonic() - began < 20
        with lookalike.connect(url) as db:
            many = db.collection("many")
            stored = many.count()
            assert 0 < stored < MANY
            assert many.status().last_run.error == "stopped"
            assert many.add(folder).unchanged == stored
            assert many.count() == MANY


def _events(api):
    """Return where the events of the job are."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        page = api.get("/collections").text
        if place := page.partition('sse-connect="')[2].partition('"')[0]:
            return place
    raise AssertionError(page)
