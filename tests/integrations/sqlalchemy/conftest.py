"""Each driver of SQLAlchemy on a real server, synchronous or not."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from typing import Any, TypeVar
from urllib.parse import parse_qs, urlsplit

import pytest
from sqlalchemy import URL, Connection, create_engine
from sqlalchemy.ext.asyncio import create_async_engine

import lookalike
from lookalike import PrivateServer
from tests.conftest import new_database
from tests.integrations.sqlalchemy.shop import EMBEDDINGS, Base, Product

T = TypeVar("T")
Run = Callable[[Callable[[Connection], T]], T]

DRIVERS = {
    "pymysql": "mysql+pymysql",
    "mysql.connector": "mysql+mysqlconnector",
    "MySQLdb": "mysql+mysqldb",
    "asyncmy": "mysql+asyncmy",
    "aiomysql": "mysql+aiomysql",
    "mariadb": "mariadb+pymysql",
}
"""{module of the driver, or the engine: how URLs of SQLAlchemy begin}"""
INSTALLED = [name for name in DRIVERS if name != "MySQLdb" or find_spec(name)]
"""All but mysqlclient, where it could not be built."""
ASYNC = ("asyncmy", "aiomysql")


def url_of(driver: str, server_url: str) -> URL:
    """The URL that SQLAlchemy takes for that of a private server."""
    parts = urlsplit(server_url)
    query = {"unix_socket": parse_qs(parts.query)["unix_socket"][0]}
    if driver == "mysql.connector":
        query["use_pure"] = "True"  # its extension in C fails on Debian 12
    return URL.create(
        DRIVERS[driver], "root", host="localhost", database=parts.path[1:], query=query
    )


@contextmanager
def running(driver: str, url: URL) -> Iterator[Run[Any]]:
    """Yield what calls a function with a connection, and commits."""
    if driver not in ASYNC:
        engine = create_engine(url)

        def run(work: Callable[[Connection], T]) -> T:
            with engine.begin() as connection:
                return work(connection)

        yield run
        engine.dispose()
        return
    asynchronous, loop = create_async_engine(url), asyncio.new_event_loop()

    def run_there(work: Callable[[Connection], T]) -> T:
        async def main() -> T:
            async with asynchronous.begin() as connection:
                return await connection.run_sync(work)

        return loop.run_until_complete(main())

    yield run_there
    loop.run_until_complete(asynchronous.dispose())
    loop.close()


@pytest.fixture(scope="module", params=INSTALLED)
def driver(request: pytest.FixtureRequest) -> str:
    """The name of a driver, in DRIVERS."""
    return str(request.param)


@pytest.fixture(scope="session")
def filled_mysql(server: PrivateServer) -> Iterator[str]:
    """The URL of a database on MySQL with products, an index, and lookalike's functions."""
    with new_database(server) as url:
        fill(url_of("pymysql", url))
        with lookalike.connect(url, index_sizes=lookalike.IndexSizes(100, 100)) as db:
            db.install_functions()
            assert db.table("products").index.status().kind == "lookalike"
        yield url


@pytest.fixture(scope="session")
def filled_mariadb(mariadb: PrivateServer) -> Iterator[str]:
    """The URL of a database on MariaDB with products."""
    with new_database(mariadb) as url:
        fill(url_of("mariadb", url))
        yield url


def fill(url: URL) -> None:
    """Create and fill the table of products."""
    engine = create_engine(url)
    rows = [
        {"product_id": i + 1, "title": f"p{i}", "price": i % 100, "embedding": each}
        for i, each in enumerate(EMBEDDINGS)
    ]
    with engine.begin() as connection:
        Base.metadata.create_all(connection)
        connection.execute(Product.__table__.insert(), rows)
    engine.dispose()


@pytest.fixture(scope="module")
def server_url(driver: str, request: pytest.FixtureRequest) -> str:
    """The URL of the products' database on the driver's server, as lookalike takes it."""
    url = request.getfixturevalue("filled_mariadb" if driver == "mariadb" else "filled_mysql")
    return str(url)


@pytest.fixture(scope="module")
def run(driver: str, server_url: str) -> Iterator[Run[Any]]:
    """Calls a function with a connection of the driver to the products' database, and commits."""
    with running(driver, url_of(driver, server_url)) as run:
        yield run
