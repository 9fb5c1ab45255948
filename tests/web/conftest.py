"""A server that all tests of the web share, with the example photographs."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser, Page, sync_playwright

import lookalike
from lookalike import PrivateServer
from tests.conftest import SHARED_HOME, new_database
from tests.places import PHOTOS
from tests.web.browsing import OpenPage, Visitors, pages_of
from tests.web.chromium import FLAGS, chromium
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


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium, without a window."""
    with sync_playwright() as playwright:
        program = chromium(SHARED_HOME / "chromium")
        launched = playwright.chromium.launch(executable_path=program, args=list(FLAGS))
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def visitors(browser: Browser, served: Served) -> Iterator[Visitors]:
    """Those who visit the server, each in a browser of theirs."""
    signed_in = Visitors(browser, served)
    yield signed_in
    signed_in.close()


@pytest.fixture
def open_page(visitors: Visitors) -> Iterator[OpenPage]:
    """Opens pages of the server, signed in; the test fails if one of them reports an error."""
    with pages_of(visitors) as opened:
        yield opened


@pytest.fixture
def page(open_page: OpenPage) -> Page:
    """A page of the server that shows all images, 1440 pixels wide."""
    return open_page("/")
