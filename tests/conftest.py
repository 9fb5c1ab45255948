"""The real MySQL that the tests run against, and databases in it."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

import lookalike
from lookalike import Database, IndexSizes, PrivateServer
from lookalike.core.types import INDEX_SIZES
from lookalike.dialects.mariadb import MariaDB
from lookalike.dialects.mysql import MySQL
from lookalike.dialects.mysql_native import MySQLNative
from lookalike.dialects.oceanbase import OceanBase
from tests import seekdb_server
from tests.places import PHOTOS, REPO

SHARED_HOME = Path(os.environ.get("LOOKALIKE_TEST_HOME", REPO / ".test-home"))
# With pytest-xdist each worker has a server of its own; what is downloaded is shared.
TEST_HOME = SHARED_HOME / os.environ.get("PYTEST_XDIST_WORKER", "")

HOMES = (TEST_HOME, SHARED_HOME)

# MySQL AI, HeatWave and Percona cannot be had here: their dialect runs on MySQL Community with
# the stored function DISTANCE, which has their name, arguments and values.
ENGINES = {"mysql": MySQL, "mysql_native": MySQLNative, "mariadb": MariaDB, "oceanbase": OceanBase}
# Further servers to test, whose URLs a user gives; each is recognised by probing.
OTHERS = list(filter(None, os.environ.pop("LOOKALIKE_TEST_DATABASES", "").split(",")))


def shown(url: str) -> str:
    """A URL of a server in the names of its tests, without the password."""
    parts = urlsplit(url)
    return f"{parts.scheme}:{parts.hostname}"


# No test may reach the databases or models of whoever runs it.
os.environ.pop("LOOKALIKE_DATABASE", None)
os.environ["LOOKALIKE_HOME"] = str(TEST_HOME)
os.environ["LOOKALIKE_CACHE"] = str(SHARED_HOME / "cache")
os.environ["HF_HUB_OFFLINE"] = "1"


def pytest_sessionstart() -> None:
    """Forget what earlier sessions found, so that pictures are compared in this one."""
    (SHARED_HOME / "cache" / "duplicates-verdicts").unlink(missing_ok=True)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs a server: every fixture of one builds on an installed program.

    Tests with an event loop of their own come first: a browser keeps one running in its thread.
    """
    items.sort(key=lambda item: "integrations" not in item.path.parts)
    needing = {
        *("installed_mysqld", "installed_mariadbd", "mysqld", "seekdb"),
        *("engine", "module_engine"),
    }
    for item in items:
        if needing & set(getattr(item, "fixturenames", ())):
            item.add_marker(pytest.mark.server)
        # seekdb takes 10 seconds of a core to start, and some for each table.
        is_seekdb = "[oceanbase" in item.name or "seekdb" in getattr(item, "fixturenames", ())
        # DISTANCE written in SQL compares 10,000 rows a second.
        is_slow = "[mysql_native" in item.name and (
            item.path.stem == "test_indexes" or "photos" in item.fixturenames
        )
        if is_seekdb and item.path.stem != "test_searching":
            item.add_marker(pytest.mark.nightly)
        if is_seekdb or is_slow or item.get_closest_marker("nightly"):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def photos() -> Path:
    """The folder of example photographs."""
    return PHOTOS


@pytest.fixture(scope="session")
def installed_mysqld() -> Path:
    """The mysqld of the tests' own home, installed if it is missing."""
    return installed("mysql")


@pytest.fixture(scope="session")
def installed_mariadbd() -> Path:
    """The mariadbd of the tests' own home, installed if it is missing."""
    return installed("mariadb")


def installed(engine: str) -> Path:
    """Install an engine once for all workers, and return its program."""
    shared = PrivateServer(SHARED_HOME, engine=engine)
    program = shared.install()
    ours, theirs = (PrivateServer(home, engine=engine).folders.tree for home in HOMES)
    if theirs.exists() and not ours.exists():
        ours.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        ours.symlink_to(theirs)
    return program


@pytest.fixture(scope="session")
def server(installed_mysqld: Path) -> Iterator[PrivateServer]:
    """The private MySQL of the tests' own home, running."""
    private = PrivateServer(TEST_HOME)
    private.start()
    yield private
    private.stop()


@contextmanager
def new_database(server: PrivateServer) -> Iterator[str]:
    """Create an empty database, yield its URL, and drop it."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    with lookalike.connect(server.url) as db:
        db.rows(f"CREATE DATABASE {name}")
        yield server.url.replace("/lookalike?", f"/{name}?")
        db.rows(f"DROP DATABASE IF EXISTS {name}")


@pytest.fixture
def database_url(server: PrivateServer) -> Iterator[str]:
    """The URL of a new, empty database, dropped after the test."""
    with new_database(server) as url:
        yield url


@pytest.fixture(scope="module")
def module_database_url(server: PrivateServer) -> Iterator[str]:
    """The URL of a database that the tests of a module share."""
    with new_database(server) as url:
        yield url


@pytest.fixture
def index_sizes() -> IndexSizes:
    """From how many rows the collections of `db` and `engine` are indexed: folders have theirs."""
    return IndexSizes()


@pytest.fixture
def db(database_url: str, index_sizes: IndexSizes) -> Iterator[Database]:
    """A connection to a new, empty database."""
    with lookalike.connect(database_url, index_sizes=index_sizes) as database:
        yield database


@pytest.fixture(scope="session")
def embedded_model() -> lookalike.Model:
    """The embedded model, loaded once."""
    return lookalike.load_model("efficientnet-lite2")


@pytest.fixture(scope="session")
def mariadb(installed_mariadbd: Path) -> Iterator[PrivateServer]:
    """The private MariaDB of the tests' own home, running."""
    private = PrivateServer(TEST_HOME, engine="mariadb")
    private.start()
    yield private
    private.stop()


@pytest.fixture(scope="session")
def seekdb() -> Iterator[str]:
    """The URL of a real seekdb, without lookalike's tables."""
    with seekdb_server.running(SHARED_HOME / "seekdb") as socket:
        yield seekdb_server.url(socket)


@contextmanager
def new_schema(url: str) -> Iterator[str]:
    """Create an empty database beside that of a URL, yield its URL, and drop it."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    with lookalike.connect(url) as db:
        db.rows(f"CREATE DATABASE {name}")
        try:
            yield urlsplit(url)._replace(path=f"/{name}").geturl()
        finally:
            db.rows(f"DROP DATABASE IF EXISTS {name}")


EACH: dict[str, Any] = {
    "params": [*ENGINES, *OTHERS],
    "ids": [*ENGINES, *map(shown, OTHERS)],
}


@pytest.fixture(**EACH)
def engine(request: pytest.FixtureRequest, index_sizes: IndexSizes) -> Iterator[Database]:
    """A new, empty database on each engine."""
    with database_on(request, request.param, index_sizes) as db:
        yield db


@pytest.fixture(scope="module", **EACH)
def module_engine(request: pytest.FixtureRequest) -> Iterator[Database]:
    """A database on each engine that the tests of a module share."""
    with database_on(request, request.param) as db:
        yield db


@contextmanager
def database_on(
    request: pytest.FixtureRequest, name: str, index_sizes: IndexSizes = INDEX_SIZES
) -> Iterator[Database]:
    """A new, empty database on an engine or on a further server."""
    make = new_schema
    if name in OTHERS:
        server = name
    elif name == "oceanbase":
        server = request.getfixturevalue("seekdb")
    else:
        server = request.getfixturevalue("mariadb" if name == "mariadb" else "server")
        make = new_database
    with make(server) as url, lookalike.connect(url, index_sizes=index_sizes) as db:
        if name == "mysql_native":
            db.install_functions()
            db.dialect = MySQLNative()
        assert name in OTHERS or db.dialect.name == name
        yield db
