"""A real MariaDB, unpacked from Debian's packages without root: a server without MySQL's VECTOR."""

import contextlib
import getpass
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pymysql

from lookalike.server.debian import APT, Apt
from lookalike.server.mysqld import Tree
from lookalike.server.progress import silent
from lookalike.server.sources import debian_mirror

SUITE = "trixie"
PACKAGES = ("mariadb-server-core",)


def unpack(tree: Path) -> None:
    """Fetch MariaDB into `tree`, unless it is there; the tree appears when it is complete."""
    if tree.exists():
        return
    mirror = debian_mirror(APT)
    assert mirror, "no Debian mirror among this machine's sources"
    work = tree.with_name(tree.name + ".apt")
    new = tree.with_name(tree.name + ".new")
    new.mkdir(parents=True)
    apt = Apt(work, mirror, SUITE, PACKAGES)
    apt.prepare()
    apt.download(silent)
    apt.unpack(new, silent)
    new.rename(tree)


@contextlib.contextmanager
def running(tree: Path, data: Path) -> Iterator[Path]:
    """Start it on a new data folder, and yield its socket."""
    mariadbd = tree / "usr/sbin/mariadbd"
    around = Tree.around(tree / "usr/sbin/mysqld")
    assert around
    socket = data / "s"
    options = ["--no-defaults", f"--datadir={data}", f"--socket={socket}", "--skip-networking"]
    options += [f"--lc-messages-dir={tree / 'usr/share/mariadb'}", "--skip-grant-tables"]
    options += [f"--user={getpass.getuser()}", f"--basedir={tree / 'usr'}"]
    with (data / "log").open("w") as log:
        command = [*around.through_loader(), str(mariadbd), *options]
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        _wait_for(process, socket, data / "log")
        yield socket
    finally:
        process.terminate()
        process.wait(60)


def _wait_for(process: "subprocess.Popen[bytes]", socket: Path, log: Path) -> None:
    for _ in range(600):
        assert process.poll() is None, log.read_text()
        with contextlib.suppress(pymysql.err.OperationalError):
            pymysql.connect(unix_socket=str(socket), user="root").close()
            return
        time.sleep(0.1)
    raise AssertionError(log.read_text())
