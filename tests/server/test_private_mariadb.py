"""The private MariaDB: what is its own, and that it stands beside the private MySQL."""

import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import lookalike
from lookalike import ServerError, UnsupportedServer
from lookalike.server.folders import Folders
from lookalike.server.mysqld import Mysqld
from lookalike.server.private import PrivateServer
from lookalike.server.process import find_process, make_data
from tests.server.processes import cli, processes_of, query, root, wait_until

pytestmark = [pytest.mark.nightly, pytest.mark.usefixtures("mysqld")]

MEGABYTE = 2**20


@pytest.fixture(scope="module")
def engine_name() -> str:
    return "mariadb"


@pytest.fixture
def at_home(server: PrivateServer, monkeypatch: pytest.MonkeyPatch) -> PrivateServer:
    """A server that has been started and stopped, of the home that commands use."""
    monkeypatch.setenv("LOOKALIKE_HOME", str(root(server)))
    return server


def test_it_is_started_by_its_scheme_alone(at_home: PrivateServer) -> None:
    told: list[str] = []
    with lookalike.connect("mariadb://", notify=told.append) as db:
        assert db.rows("SELECT @@socket, DATABASE()")[1] == [(str(at_home.socket), "lookalike")]
        assert db.dialect.name == "mariadb"
        assert str(db.connection.url).startswith("mariadb://root@localhost/lookalike?unix_socket=/")
    assert told == ["Starting the private MariaDB."]
    with lookalike.connect(at_home.url.replace("mariadb://", "mysql://")) as db:
        assert db.dialect.name == "mariadb"


def test_its_settings_are_those_of_mysql_where_they_differ(server: PrivateServer) -> None:
    server.start()
    settings = "@@mhnsw_max_cache_size, @@max_allowed_packet, @@performance_schema, @@secure_auth"
    assert query(server, f"SELECT {settings}") == ((256 * MEGABYTE, 64 * MEGABYTE, 0, 1),)


def test_collections_in_it(at_home: PrivateServer) -> None:
    with lookalike.connect("mariadb://") as db:
        made = db.collection("vectors", dim=2)
        made.add_embeddings(["east", "north"], [[1, 0], [0, 1]])
    found = cli(at_home, "status", "--database", "mariadb://", "--json")
    assert [each["rows"] for each in json.loads(found.stdout)] == [2]
    with lookalike.connect(at_home.url) as db:
        best = db.collection("vectors").search([1, 0.1])[0]
    assert best.image_name == "east"


def test_the_commands(at_home: PrivateServer, mysqld: Mysqld) -> None:
    def run(*args: str) -> str:
        done = cli(at_home, "server", *args, "--engine", "mariadb")
        assert done.returncode == 0
        return done.stdout + done.stderr

    assert run("install") == f"MariaDB is installed: {mysqld.path}\n"
    assert run("start").splitlines()[-1] == f"MariaDB {mysqld.version} is running."
    assert run("url") == f"{at_home.url}\n"
    status = json.loads(run("status", "--json"))
    assert (status["engine"], status["running"]) == ("mariadb", True)
    assert status["pid"] == at_home.status().pid
    select = ("-N", "-e", "SELECT VERSION(), DATABASE()")
    urls = ("mariadb://", at_home.url)
    for chosen in (("--engine", "mariadb"), *(("--database", url) for url in urls)):
        shown = cli(at_home, "server", "shell", *chosen, *select)
        assert shown.stdout.split() == [mysqld.version, "from", "Debian", "lookalike"]
    assert run("stop") == "The private MariaDB is stopped.\n"
    assert run("stop") == "The private MariaDB was not running.\n"
    both = cli(at_home, "server", "shell", "--engine", "mariadb", "--database", at_home.url)
    assert "not both" in both.stderr


def test_it_runs_beside_the_private_mysql(
    at_home: PrivateServer, installed_mysqld: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOKALIKE_MYSQLD", str(installed_mysqld))
    mysql = PrivateServer()
    started = at_home.start()
    with lookalike.connect() as db:
        assert "MariaDB" not in db.rows("SELECT VERSION()")[1][0][0]
    assert at_home.status() == started
    with pytest.raises(UnsupportedServer) as refusal:
        lookalike.connect(mysql.url.replace("mysql://", "mariadb://"))
    assert str(refusal.value) == (
        f"mariadb://root@localhost/lookalike?unix_socket={mysql.socket} is version "
        f"{mysql.status().version}, not a mariadb server: write its URL with mysql://"
    )
    assert mysql.stop()
    assert at_home.status() == started
    assert len(processes_of(at_home.home)) == 1


def test_a_home_too_long_for_a_socket(long_server: PrivateServer, tmp_path: Path) -> None:
    socket = long_server.start().socket
    assert not socket.is_relative_to(tmp_path)
    assert socket.parent.stat().st_mode & 0o777 == 0o700
    with lookalike.connect(long_server.url) as db:
        assert db.rows("SELECT 1")[1] == [(1,)]
    assert long_server.stop()
    assert long_server.start().socket == socket


def test_it_stops_when_idle_and_the_next_command_starts_it_again(at_home: PrivateServer) -> None:
    at_home.start(stop_after_idle="1s")
    with lookalike.connect("mariadb://") as db:
        time.sleep(2.5)
        db.rows("SELECT 1")
    assert find_process(at_home.folders)
    wait_until(lambda: find_process(at_home.folders) is None)
    done = cli(at_home, "sql", "--database", "mariadb://", "SELECT 40 + 2")
    assert "42" in done.stdout
    wait_until(lambda: find_process(at_home.folders) is None)
    assert "Shutdown complete" in at_home.status().log.read_text()
    at_home.start(stop_after_idle="never")


def test_its_buffer_pool(server: PrivateServer) -> None:
    assert server.start(buffer_pool="128M").buffer_pool == 128 * MEGABYTE
    server.start(buffer_pool="256M")
    wait_until(lambda: server.status().buffer_pool == 256 * MEGABYTE)
    server.stop()
    assert server.start().buffer_pool == 256 * MEGABYTE


def test_tables_of_an_older_version_are_upgraded_once(server: PrivateServer) -> None:
    server.start()
    query(server, "DROP TABLE mysql.gtid_slave_pos", "CREATE TABLE mine (a INT)")
    server.stop()
    noted = server.folders.data / "mariadb_upgrade_info"
    made_by = noted.read_text()
    assert made_by.startswith("11.")
    noted.write_text("11.7.2-MariaDB\n")
    told: list[str] = []
    server.start(progress=lambda step, done, total: told.append(step))
    assert "Upgrading MariaDB's tables" in told
    assert query(server, "SELECT COUNT(*) FROM mysql.gtid_slave_pos") == ((0,),)
    assert noted.read_text().strip() == made_by.strip()
    server.stop()
    told.clear()
    server.start(progress=lambda step, done, total: told.append(step))
    assert told == ["Starting MariaDB"]
    assert query(server, "SHOW TABLES") == (("mine",),)


def test_an_upgrade_that_fails_leaves_no_server(
    server: PrivateServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    (server.folders.data / "mariadb_upgrade_info").unlink()
    monkeypatch.setattr(Mysqld, "beside", lambda *_, **__: ["/bin/sh", "-c", "echo broken; exit 3"])
    with pytest.raises(ServerError, match=r"could not be upgraded to MariaDB 11.*\nbroken$"):
        server.start()
    assert not server.status().running
    monkeypatch.undo()


def test_damaged_data(server: PrivateServer) -> None:
    (server.folders.data / "ibdata1").write_bytes(b"garbage" * 10_000)
    with pytest.raises(ServerError) as refusal:
        server.start()
    first, *rest = str(refusal.value).splitlines()
    assert first.startswith(f"MariaDB could not start on {server.home}/data: see the end of")
    assert any("[ERROR]" in line for line in rest)
    assert not server.status().running


def test_a_program_that_dies_at_once(
    server: PrivateServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mariadbd"
    path.write_text(
        "#!/bin/sh\n"
        'case "$*" in *--version*) echo "mariadbd  Ver 99.1.2-MariaDB"; exit;; esac\n'
        "echo 'Segmentation fault' >&2; exit 139\n"
    )
    path.chmod(0o755)
    monkeypatch.setenv("LOOKALIKE_MARIADBD", str(path))
    with pytest.raises(ServerError, match=r"^MariaDB could not start on \S+: .*\nSegmentation f"):
        server.start()


def test_a_disk_that_fills_up_while_data_is_made(
    small_disk: Callable[[str], Path], mysqld: Mysqld
) -> None:
    folders = Folders(small_disk("60m"), mysqld.engine)
    with pytest.raises(ServerError, match=r"the disk of \S+/data is full: free some space[^$]*\n"):
        make_data(mysqld, folders, megabytes=1)
    assert list(folders.home.iterdir()) == []


def test_it_is_gone_with_its_folder(new_server: PrivateServer) -> None:
    new_server.start()
    new_server.stop()
    assert [path.name for path in root(new_server).iterdir()] == ["mariadb"]
    shutil.rmtree(new_server.home)
    assert new_server.start().running
