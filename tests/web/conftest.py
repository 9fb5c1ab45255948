"""A server that all tests of the web share, with the example photographs."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import lookalike
from lookalike import PrivateServer
from tests.conftest import new_database
from tests.places import PHOTOS
from tests.web.serving import Served, serving

HOSTILE_NAME = "<img src=x onerror=alert(1)>.jpg"


@pytest.fixture(scope="session")
def served_photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the example photographs; one has a name that is HTML."""
    folder = tmp_path_factory.mktemp("photos") / "photos"
    shutil.copytree(PHOTOS, folder, ignore=shutil.ignore_patterns("*.md"))
    shutil.copy(PHOTOS / "coffee.jpg", folder / HOSTILE_NAME)
    return folder


@pytest.fixture(scope="session")
def served(
    server: PrivateServer, served_photos: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Served]:
    """A server of the photographs and their facts; what tests change in it, they undo."""
    with new_database(server) as url:
        with lookalike.connect(url) as db:
            db.collection().add(served_photos, facts=True)
        home = tmp_path_factory.mktemp("served")
        with serving(url, home, "--root", str(served_photos)) as running:
            yield running


@pytest.fixture(scope="session")
def api(served: Served) -> Iterator[httpx.Client]:
    """A client of the API that may change things."""
    with served.client() as client:
        yield client
