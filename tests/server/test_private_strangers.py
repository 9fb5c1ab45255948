"""What is not the private server is not taken for it."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import lookalike
from lookalike.core.errors import ServerError
from lookalike.server.folders import Folders
from lookalike.server.install import debian
from lookalike.server.mysqld import Mysqld, Tree
from lookalike.server.private import PrivateServer
from lookalike.server.process import make_data
from tests import fake_mysql
from tests.server.processes import cli, query

pytestmark = [pytest.mark.nightly, pytest.mark.usefixtures("mysqld")]


def test_a_home_too_long_for_a_socket(long_server: PrivateServer, tmp_path: Path) -> None:
    socket = long_server.start().socket
    assert not socket.is_relative_to(tmp_path)
    assert socket.parent.stat().st_mode & 0o777 == 0o700
    assert query(long_server, "SELECT 1") == ((1,),)
    with lookalike.connect(long_server.url) as db:
        assert db.rows("SELECT 1")[1] == [(1,)]
    assert long_server.stop()
    assert long_server.start().socket == socket


def test_a_fake_server_under_a_guessed_name_hears_nothing(
    long_server: PrivateServer, stranger: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOKALIKE_HOME", str(long_server.home))
    name = hashlib.sha256(os.fsencode(long_server.home)).hexdigest()[:16]  # as once it was
    guessed = Path("/tmp", f"lookalike-{name}")
    guessed.mkdir()
    os.chown(guessed, stranger, stranger)
    heard = tmp_path / "heard"
    try:
        with fake_mysql.running(guessed / "mysql.sock", heard, user=stranger):
            with lookalike.connect() as db:
                assert db.rows("SELECT @@datadir")[1] == [(f"{long_server.home}/data/",)]
            assert long_server.status().running
    finally:
        shutil.rmtree(guessed)
    assert heard.read_bytes() == b""


def test_a_fake_server_in_the_place_of_a_stopped_one_is_left_alone(
    long_server: PrivateServer, stranger: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOKALIKE_HOME", str(long_server.home))
    folder = long_server.start().socket.parent
    long_server.stop()
    os.chown(folder, stranger, stranger)
    heard = tmp_path / "heard"
    try:
        with fake_mysql.running(folder / "mysql.sock", heard, user=stranger):
            assert not long_server.status().running
            with lookalike.connect() as db:
                assert db.rows("SELECT @@datadir")[1] == [(f"{long_server.home}/data/",)]
            assert long_server.socket.parent != folder
    finally:
        shutil.rmtree(folder)
    assert heard.read_bytes() == b""


def test_a_fake_server_in_the_place_of_a_running_one_is_refused(
    server: PrivateServer, stranger: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOOKALIKE_HOME", str(server.home))
    server.start()
    db = lookalike.connect()
    server.socket.rename(tmp_path / "real.sock")
    heard = tmp_path / "heard"

    def more() -> None:
        with db.session(), db.connection.apart():
            db.rows("SELECT 1")

    with fake_mysql.running(server.socket, heard, user=stranger):
        # A second connection while the first is in use: the pool dials as well.
        calls = (server.start, server.status, lookalike.connect, more)
        for call in (*calls, lambda: lookalike.connect(server.url)):
            with pytest.raises(ServerError, match=rf"is another user's \(uid {stranger}\)"):
                call()
        for args in (["start"], ["status"], ["shell", "-e", "SELECT 1"]):
            done = cli(server, "server", *args)
            assert (done.returncode, done.stdout) == (2, "")
            assert done.stderr.startswith(f"Error: the server on {server.socket} is another user's")
            assert done.stderr.count("\n") == 1
    assert heard.read_bytes() == b""
    db.close()
    assert server.stop()


def test_a_socket_folder_that_is_gone_is_told_at_once(long_server: PrivateServer) -> None:
    shutil.rmtree(long_server.start().socket.parent)
    with pytest.raises(ServerError, match=r"its socket is not in \S+ any more: run `lookalike"):
        long_server.start()
    assert long_server.stop()
    assert long_server.start().running


DECOY = ["sh", "-c", "echo ready; read line", "mysqld", "--no-defaults"]


@contextmanager
def decoy(server: PrivateServer, *command: str, user: int | None = None) -> Iterator[None]:
    """A process with a server's data folder in its command line, which has to outlive the block."""
    with subprocess.Popen(
        [*command, f"--datadir={server.home}/data"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        user=user,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        try:
            yield
            assert process.poll() is None
        finally:
            process.stdin.close()


def leave_alone(server: PrivateServer) -> None:
    assert not server.status().running
    assert not server.stop()
    started = server.start()
    assert server.status() == started
    assert server.stop()
    assert not server.stop()


def test_a_program_that_is_no_mysqld_is_not_the_server(server: PrivateServer) -> None:
    with decoy(server, *DECOY):
        leave_alone(server)


def test_another_users_process_is_not_the_server(server: PrivateServer, stranger: int) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        Path(folder).chmod(0o755)
        program = Path(folder, "mysqld")  # by its name, and that of its program
        shutil.copy(shutil.which("sh") or "sh", program)
        with (
            decoy(server, *DECOY, user=stranger),
            decoy(server, str(program), *DECOY[1:], user=stranger),
        ):
            leave_alone(server)


def test_a_disk_too_small_for_data(small_disk: Callable[[str], Path]) -> None:
    server = PrivateServer(small_disk("30m") / "home")
    with pytest.raises(ServerError, match=r"data folder needs 300 MB, and \S+ has (29|30) MB free"):
        server.start()
    assert {path.name for path in server.home.iterdir()} <= {"server.lock"}


def test_a_disk_that_fills_up_while_data_is_made(
    small_disk: Callable[[str], Path], mysqld: Mysqld
) -> None:
    folders = Folders(small_disk("60m"))
    with pytest.raises(ServerError, match=r"the disk of \S+/data is full: free some space[^$]*\n"):
        make_data(mysqld, folders, megabytes=1)
    assert list(folders.home.iterdir()) == []


def test_the_client(server: PrivateServer) -> None:
    server.start()
    command = server.client_command(["--batch", "--skip-column-names"])
    answer = subprocess.run(
        command, input="SELECT DATABASE(), 'é'", capture_output=True, text=True, check=True
    )
    assert (answer.stdout, answer.stderr) == ("lookalike\té\n", "")
    command = server.client_command(["-N", "-e", "SELECT DATABASE()", "mysql"])
    answer = subprocess.run(command, capture_output=True, text=True, check=True)
    assert answer.stdout.split() == ["mysql"]


@pytest.mark.nightly
@pytest.mark.skipif(not debian.is_debian(), reason="a mirror is found in Debian's sources")
def test_an_installation_from_the_mirror(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, new_server: PrivateServer
) -> None:
    monkeypatch.delenv("LOOKALIKE_MYSQLD")
    search = [folder for folder in os.environ["PATH"].split(os.pathsep) if folder]
    usable = [folder for folder in search if not shutil.which("mysqld", path=folder)]
    monkeypatch.setenv("PATH", os.pathsep.join(usable))
    told: list[tuple[str, int, int]] = []
    path = new_server.install(progress=lambda *step: told.append(step))
    assert path == new_server.home / "mysql/usr/sbin/mysqld"
    assert Tree.around(path) is not None
    assert {path.name for path in new_server.home.iterdir()} == {"mysql", "install.lock"}
    assert not list(new_server.home.rglob("*.deb"))
    downloads = [step[1:] for step in told if step[0] == "Downloading MySQL"]
    assert downloads[-1][0] == downloads[-1][1] > 30e6
    assert downloads == sorted(downloads)
    assert "Unpacking MySQL" in {step[0] for step in told}
    assert new_server.install() == path
    assert new_server.start().mysqld == path
