"""The mariadb client on a MariaDB of one's own, over TCP, with a password and TLS."""

import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pymysql
import pytest

import lookalike
from lookalike.server.mysqld import Mysqld
from lookalike.server.private import PrivateServer
from tests.server.processes import cli, wait_until

pytestmark = [pytest.mark.nightly, pytest.mark.usefixtures("mysqld")]

PASSWORD, QUOTED = 'p/w: "%?', "p%2Fw%3A%20%22%25%3F"


@pytest.fixture(scope="module")
def engine_name() -> str:
    return "mariadb"


@pytest.fixture(scope="module")
def tcp(
    program: Mysqld, stopped_data: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[int]:
    """The port of a running MariaDB with a user `me` and a database `shop`."""
    folder = tmp_path_factory.mktemp("tcp")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    where = [f"--datadir={stopped_data}", f"--socket={folder}/s", f"--port={port}"]
    command = [*program.command(), *where, "--bind-address=127.0.0.1", f"--pid-file={folder}/pid"]
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        wait_until(lambda: "ready for connections" in (folder / "log").read_text())
        with pymysql.connect(unix_socket=f"{folder}/s", user="root") as root, root.cursor() as run:
            run.execute("CREATE DATABASE shop")
            run.execute("CREATE USER me@'127.0.0.1' IDENTIFIED BY %s", (PASSWORD,))
            run.execute("GRANT ALL ON shop.* TO me@'127.0.0.1'")
        yield port
    finally:
        server.terminate()
        server.wait(60)


@pytest.mark.parametrize(
    ("options", "is_encrypted"),
    [
        ("", True),
        ("?ssl_mode=disabled", False),
        ("?ssl_mode=REQUIRED&connect_timeout=5", True),
        ("?ssl_mode=VERIFY_IDENTITY", True),  # by the password, as the client can since 11.4
    ],
)
def test_the_shell(new_server: PrivateServer, tcp: int, options: str, is_encrypted: bool) -> None:
    url = f"mariadb://me:{QUOTED}@127.0.0.1:{tcp}/shop{options}"
    sql = "SELECT DATABASE(); SHOW STATUS LIKE 'Ssl_cipher'"
    done = cli(new_server, "server", "shell", "--database", url, "-N", "-e", sql)
    assert done.returncode == 0, done.stderr
    database, *cipher = done.stdout.split()
    assert database == "shop"
    assert bool(cipher[1:]) is is_encrypted
    assert not new_server.home.exists()


def test_a_mode_that_there_is_not(new_server: PrivateServer, tcp: int) -> None:
    url = f"mariadb://me:{QUOTED}@127.0.0.1:{tcp}/shop?ssl_mode=strict"
    done = cli(new_server, "server", "shell", "--database", url, "-e", "SELECT 1")
    assert done.stderr == (
        "Error: ssl_mode=STRICT in the database URL; known: DISABLED, PREFERRED, REQUIRED, "
        "VERIFY_CA, VERIFY_IDENTITY\n"
    )


def test_connecting(tcp: int) -> None:
    where = f"me:{QUOTED}@127.0.0.1:{tcp}/shop"
    for scheme in ("mariadb", "mysql", "mariadb+pymysql"):
        with lookalike.connect(f"{scheme}://{where}") as db:
            assert db.dialect.name == "mariadb"
            shown = f"{scheme.partition('+')[0]}://me:***@127.0.0.1:{tcp}/shop"
            assert str(db.connection.url) == shown
