"""The engines that the conformance suite runs on."""

from collections.abc import Iterator
from pathlib import Path

import pymysql
import pytest

import lookalike
from lookalike import Database
from lookalike.dialects import MySQL, MySQLNative
from tests.conftest import TEST_HOME
from tests.engines import mariadb

# MySQL AI, HeatWave and Percona cannot be had here: their dialect runs on MySQL Community with
# the stored function DISTANCE, which has their name, arguments and values.
ENGINES = {"mysql": MySQL, "mysql_native": MySQLNative}


@pytest.fixture
def old_server(tmp_path: Path) -> Iterator[str]:
    """The URL of a real server that lacks MySQL's VECTOR functions."""
    tree = TEST_HOME / "mariadb"
    mariadb.unpack(tree)
    with mariadb.running(tree, tmp_path) as socket:
        with pymysql.connect(unix_socket=str(socket), user="root") as connection:
            connection.cursor().execute("CREATE DATABASE shop")
        yield f"mysql://root@localhost/shop?unix_socket={socket}"


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest, database_url: str) -> Iterator[Database]:
    """A new, empty database on each engine."""
    with lookalike.connect(database_url) as db:
        if request.param == "mysql_native":
            db.install_functions()
        db.dialect = ENGINES[request.param]()
        yield db
