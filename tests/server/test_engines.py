"""Engines are described; each has a home, a program and a URL of its own."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest

from lookalike import InputError, PrivateServer, ServerError
from lookalike.server import upgrade
from lookalike.server.address import PrivateAddress, private_at, private_of
from lookalike.server.engine import ENGINES, MARIADB, MYSQL
from lookalike.server.mysqld import Mysqld, find, find_or_refuse, inspect
from lookalike.server.process import server_options

MARIADB_11_8 = "mariadbd  Ver 11.8.9-MariaDB-0+deb13u1 from Debian for debian-linux-gnu on x86_64"
MARIADB_10 = "mariadbd  Ver 10.11.11-MariaDB-0+deb12u1 for debian-linux-gnu on x86_64 (Debian 12)"
MYSQL_9 = "mysqld  Ver 9.7.4-2 for Linux on x86_64 ((Debian))"


def fake(path: Path, says: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The home folder of a machine where nothing is installed."""
    for engine in ENGINES.values():
        monkeypatch.delenv(engine.variable, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("LOOKALIKE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_the_paths_of_mysql_stay_and_mariadbs_are_beside_them(home: Path) -> None:
    mysql, mariadb = PrivateAddress().folders, PrivateAddress(engine="mariadb").folders
    assert (mysql.tree, mysql.data, mysql.log, mysql.pid_file, mysql.settings) == (
        *(home / "mysql", home / "data", home / "mysqld.log", home / "mysqld.pid"),
        home / "server.json",
    )
    own = home / "mariadb"
    assert (mariadb.tree, mariadb.data, mariadb.log, mariadb.pid_file, mariadb.settings) == (
        *(own / "mariadb", own / "data", own / "mariadbd.log", own / "mariadbd.pid"),
        own / "server.json",
    )
    assert mysql.socket == home / "run/mysql.sock"
    assert mariadb.socket != mysql.socket


def test_an_engine_that_there_is_not() -> None:
    with pytest.raises(InputError, match="'oracle': there is one of mysql and mariadb"):
        PrivateServer(engine="oracle")


@pytest.mark.parametrize(
    ("url", "engine"),
    [
        (None, "mysql"),
        ("", "mysql"),
        ("mysql://", "mysql"),
        ("mariadb://", "mariadb"),
        ("oracle://", None),
        ("mariadb", None),
        ("mariadb://me@host/shop", None),
    ],
)
@pytest.mark.usefixtures("home")
def test_a_scheme_alone_is_a_private_server(url: str | None, engine: str | None) -> None:
    private = private_of(url)
    assert (private and private.engine.name) == engine
    assert private is None or urlsplit(private.url).scheme == engine


def test_a_private_server_is_known_by_its_socket(home: Path) -> None:
    for name in ENGINES:
        found = private_at(str(PrivateAddress(engine=name).socket))
        assert found is not None
        assert found.engine.name == name
    assert private_at("/run/mysqld/mysqld.sock") is private_at(None) is None


def test_only_mariadb_with_vectors_is_taken(home: Path, tmp_path: Path) -> None:
    path = fake(tmp_path / "mariadbd", MARIADB_11_8)
    assert inspect(path, MARIADB) == Mysqld(path, "11.8.9-MariaDB-0+deb13u1", MARIADB)
    for says, found in (
        (MARIADB_10, "MariaDB 10.11.11-MariaDB-0+deb12u1"),
        (MYSQL_9, "MySQL 9.7.4-2"),
    ):
        with pytest.raises(ServerError) as refusal:
            inspect(fake(tmp_path / "other", says), MARIADB)
        assert str(refusal.value) == (
            f"{tmp_path}/other is {found}, and MariaDB 11.7 or newer is needed"
        )


def test_each_engine_is_found_by_its_own_variable_and_program(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = home / "mariadb/mariadb"
    with pytest.raises(ServerError, match=r"no MariaDB 11\.7 .*server install --engine mariadb`"):
        find_or_refuse(tree, MARIADB)
    installed = fake(tree / "usr/sbin/mariadbd", MARIADB_11_8)
    assert find(tree, MARIADB) == Mysqld(installed, "11.8.9-MariaDB-0+deb13u1", MARIADB)
    fake(tmp_path / "bin/mysqld", MYSQL_9)
    assert find(tree, MARIADB) == Mysqld(installed, "11.8.9-MariaDB-0+deb13u1", MARIADB)
    named = fake(tmp_path / "named", MARIADB_11_8)
    monkeypatch.setenv("LOOKALIKE_MARIADBD", str(named))
    assert find(tree, MARIADB) == Mysqld(named, "11.8.9-MariaDB-0+deb13u1", MARIADB)


def test_every_server_is_on_its_socket_alone(home: Path) -> None:
    for name in ENGINES:
        folders = PrivateAddress(engine=name).folders
        options = server_options(folders, 2**27)
        assert {"--skip-networking", f"--socket={folders.socket}"} <= set(options)
        assert ("--daemonize" in options) is ENGINES[name].daemonizes
    assert "--mhnsw-max-cache-size=256M" in options


def test_a_program_without_its_tables(home: Path, tmp_path: Path) -> None:
    mysqld, mariadbd = (Mysqld(tmp_path / "usr/sbin/x", "11.8.9", e) for e in (MYSQL, MARIADB))
    assert mysqld.bootstrap() == b""
    with pytest.raises(ServerError, match=r"no mariadb_system_tables.sql in .*install all of"):
        mariadbd.bootstrap()


@pytest.mark.parametrize(
    ("made", "is_readable"),
    [("11.8.9", True), ("11.8.12", True), ("10.11.2", True), ("11.9.0", False), ("12.0.2", False)],
)
def test_data_of_a_newer_series_are_refused(tmp_path: Path, made: str, is_readable: bool) -> None:
    upgrade.note(Mysqld(Path("/x"), f"{made}-MariaDB-log", MARIADB), tmp_path)
    this = Mysqld(Path("/x"), "11.8.9-MariaDB-0+deb13u1", MARIADB)
    if is_readable:
        upgrade.check(this, tmp_path)
        return
    with pytest.raises(ServerError) as refusal:
        upgrade.check(this, tmp_path)
    assert str(refusal.value) == (
        f"MariaDB 11.8.9 could not start on {tmp_path}, which MariaDB {made} has made: "
        f"set LOOKALIKE_MARIADBD to a mariadbd {made}, or move the folder away"
    )
