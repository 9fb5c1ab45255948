"""A private MariaDB 11.8 of Debian trixie, unpacked without root, on a unix socket only.

It runs through its own loader, so it needs nothing of the system. For the benchmark it is the
native index to compare with; for the tests a real server that lacks MySQL's VECTOR functions.
"""

import getpass
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import pymysql
from pymysql.cursors import Cursor

from lookalike.core.progress import silent
from lookalike.server.install.debian import APT, Apt
from lookalike.server.install.sources import debian_mirror
from lookalike.server.mysqld import Tree

SUITE = "trixie"
PACKAGES = ("mariadb-server-core", "mariadb-client-core")
START_LIMIT = 60.0  # seconds
STOP_LIMIT = 300.0
SYSTEM_TABLES = (
    "mariadb_system_tables.sql",
    "mariadb_performance_tables.sql",
    "mariadb_system_tables_data.sql",
)
DATABASE = "bench"

Connection: TypeAlias = "pymysql.Connection[Cursor]"


def install(tree: Path) -> None:
    """Unpacks MariaDB with its libraries into a folder, unless that is there."""
    if tree.exists():
        return
    mirror = debian_mirror(APT)
    if mirror is None:
        raise SystemExit(f"No Debian mirror among the sources in {APT}")
    tree.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=tree.parent) as work:
        apt = Apt(Path(work, "apt"), mirror, SUITE, PACKAGES)
        apt.prepare()
        apt.download(silent)
        new = Path(work, "tree")
        new.mkdir()
        apt.unpack(new, silent)
        try:
            new.rename(tree)
        except OSError:  # another process was quicker
            if not tree.exists():
                raise


def command(tree: Path) -> list[str]:
    """The arguments that run the unpacked mariadbd through its own loader."""
    around = Tree.around(tree / "usr/sbin/mysqld")  # a link to mariadbd
    if around is None:
        raise SystemExit(f"{tree} has no loader: remove it and run this again")
    return [
        *around.through_loader(),
        str(tree / "usr/sbin/mariadbd"),
        "--no-defaults",
        f"--basedir={tree / 'usr'}",
        f"--lc-messages-dir={tree / 'usr/share/mariadb'}",
        f"--character-sets-dir={tree / 'usr/share/mariadb/charsets'}",
        f"--user={getpass.getuser()}",
    ]


def make_data(tree: Path, data: Path) -> None:
    """A new data folder with the system tables, whose user root has no password."""
    data.mkdir(parents=True)
    scripts = (tree / "usr/share/mariadb" / name for name in SYSTEM_TABLES)
    sql = "CREATE DATABASE mysql;\nUSE mysql;\n" + "\n".join(s.read_text() for s in scripts)
    bootstrap = [*command(tree), f"--datadir={data}", "--bootstrap", "--skip-grant-tables"]
    made = subprocess.run(bootstrap, input=sql, capture_output=True, text=True)
    if made.returncode != 0:
        raise SystemExit(f"mariadbd has not made its data folder:\n{made.stderr[-2000:]}")


@contextmanager
def running(tree: Path, options: Sequence[str] = ()) -> Iterator[Path]:
    """The socket of a running MariaDB with an empty database `bench`, removed after it."""
    install(tree)
    # a socket's path is at most 107 bytes long, which the tree's own may be
    with (
        tempfile.TemporaryDirectory(dir=tree.parent, prefix="data-") as folder,
        tempfile.TemporaryDirectory() as run,
        Path(folder, "log").open("w+") as log,
    ):
        data, socket = Path(folder, "data"), Path(run, "socket")
        make_data(tree, data)
        places = [f"--datadir={data}", f"--socket={socket}", f"--pid-file={run}/pid"]
        server = subprocess.Popen(
            [*command(tree), *places, "--skip-networking", *options], stdout=log, stderr=log
        )
        try:
            with connect(socket, server, Path(folder, "log")) as connection:
                connection.query(f"CREATE DATABASE {DATABASE}")
            yield socket
        finally:
            server.terminate()
            server.wait(STOP_LIMIT)


def connect(socket: Path, server: "subprocess.Popen[bytes]", log: Path) -> Connection:
    """Connects as soon as the server answers."""
    deadline = time.monotonic() + START_LIMIT
    while True:
        try:
            return pymysql.connect(unix_socket=str(socket), user="root", autocommit=True)
        except pymysql.OperationalError:
            if server.poll() is not None or time.monotonic() > deadline:
                raise SystemExit(f"mariadbd has not come up:\n{log.read_text()[-2000:]}") from None
            time.sleep(0.1)
