"""The OpenAPI document: in docs, valid, and true of what the server answers."""

import json
import runpy
import zlib

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, settings
from PIL import Image
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

import lookalike
from lookalike.web.api.openapi import document
from tests.conftest import new_database
from tests.places import REPO
from tests.web.serving import serving

CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
schema = schemathesis.openapi.from_dict(document()).exclude(path_regex="/events$")


def test_the_file_in_docs_is_up_to_date():
    generated = runpy.run_path(str(REPO / "docs" / "generate_openapi.py"))["text"]()
    assert (REPO / "docs" / "openapi.json").read_text() == generated, "run `make docs`"


def test_the_server_sends_the_document(api):
    response = api.get("/openapi.json")
    assert response.headers["content-type"] == "application/json"
    assert response.json() == json.loads((REPO / "docs" / "openapi.json").read_text())


def test_every_route_is_documented(served):
    described = document()["paths"]
    for path, methods in described.items():
        for method, operation in methods.items():
            assert operation["summary"] and operation["description"], (method, path)
            assert {"401", "403"} <= set(operation["responses"]) or path == "/health"
    for model in document()["components"]["schemas"].values():
        assert model.get("description"), model


@pytest.fixture(scope="module")
def fuzzed(server, tmp_path_factory):
    """A server with two vectors and an image, for requests that may change everything."""
    home = tmp_path_factory.mktemp("fuzzed")
    (home / "photos").mkdir()
    Image.new("RGB", (32, 24), "red").save(home / "photos" / "a.jpg")
    with new_database(server) as url:
        with lookalike.connect(url) as db:
            db.collection().add(home / "photos", facts=True)
            shapes = db.collection("shapes", dim=2)
            shapes.upsert([[1, 0], [0, 1]], names=["right", "up"], attributes=[{"n": 1}, {"n": 2}])
        with serving(url, home, "--root", str(home / "photos")) as running:
            yield running


@pytest.fixture(scope="module")
def session(fuzzed):
    with requests.Session() as opened:
        opened.headers["Authorization"] = f"Bearer {fuzzed.token}"
        yield opened


def at_random(examples):
    """Settings of a test that sends each operation so many requests."""
    return settings(
        max_examples=examples,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )


@schema.parametrize()
@at_random(3)
def test_nothing_that_is_asked_is_the_server_s_failure(case, fuzzed, session):
    ask(case, fuzzed, session)


@pytest.mark.nightly
@schema.parametrize()
@at_random(25)
def test_much_that_is_asked(case, fuzzed, session):
    ask(case, fuzzed, session)


def ask(case, fuzzed, session):
    _aim(case)
    case.call_and_validate(base_url=fuzzed.url, session=session, checks=CHECKS, timeout=60)


def _aim(case):
    """Have most cases ask for a collection and an image that exist: others are soon refused."""
    chance = zlib.crc32(repr((case.query, case.path_parameters, case.body)).encode())
    if chance % 8:
        case.query = {
            **(case.query or {}),
            "collection": ("shapes", "image_embeddings")[chance % 2],
        }
    if "row_id" in (case.path_parameters or {}) and chance % 3:
        case.path_parameters["row_id"] = 1 + chance % 2
    if "name" in (case.path_parameters or {}) and chance % 3:
        case.path_parameters["name"] = "shapes"
