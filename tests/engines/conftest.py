"""The engines that the conformance suite runs on."""

from collections.abc import Iterator

import pytest

import lookalike
from lookalike import Database
from lookalike.dialects import MySQL, MySQLNative

# MySQL AI, HeatWave and Percona cannot be had here: their dialect runs on MySQL Community with
# the stored function DISTANCE, which has their name, arguments and values.
ENGINES = {"mysql": MySQL, "mysql_native": MySQLNative}


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest, database_url: str) -> Iterator[Database]:
    """A new, empty database on each engine."""
    with lookalike.connect(database_url) as db:
        if request.param == "mysql_native":
            db.install_functions()
        db.dialect = ENGINES[request.param]()
        yield db
