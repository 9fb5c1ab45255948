"""The engines that the conformance suite runs on."""

from collections.abc import Iterator

import pytest

import lookalike
from benchmarks import mariadb_server
from lookalike import Database
from lookalike.dialects.mysql import MySQL
from lookalike.dialects.mysql_native import MySQLNative
from tests.conftest import SHARED_HOME

# MySQL AI, HeatWave and Percona cannot be had here: their dialect runs on MySQL Community with
# the stored function DISTANCE, which has their name, arguments and values.
ENGINES = {"mysql": MySQL, "mysql_native": MySQLNative}


@pytest.fixture
def old_server() -> Iterator[str]:
    """The URL of a real server that lacks MySQL's VECTOR functions."""
    with mariadb_server.running(SHARED_HOME / "mariadb") as socket:
        yield f"mysql://root@localhost/{mariadb_server.DATABASE}?unix_socket={socket}"


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest, database_url: str) -> Iterator[Database]:
    """A new, empty database on each engine."""
    with lookalike.connect(database_url) as db:
        if request.param == "mysql_native":
            db.install_functions()
        db.dialect = ENGINES[request.param]()
        yield db
