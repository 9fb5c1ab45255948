"""The private MySQL server, with real ones in folders of their own."""

import hashlib
import os
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pymysql
import pytest

import lookalike
from lookalike.core.errors import ServerError
from lookalike.server import PrivateServer, ServerStatus
from lookalike.server import process as server_process
from lookalike.server.install import debian
from lookalike.server.mysqld import Mysqld, Tree, inspect
from tests import fake_mysql

START = """
import sys
from pathlib import Path
from lookalike.server import PrivateServer
print(PrivateServer(Path(sys.argv[1])).start().pid)
"""
PAGE = 16384  # bytes
LIMIT = 60.0  # seconds


def wait_until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + LIMIT
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def processes_of(home: Path) -> list[psutil.Process]:
    """The processes that work in a home folder: of its server, or one that makes its data."""
    found = []
    for process in psutil.process_iter():
        try:
            if any(f"--datadir={home}/" in argument for argument in process.cmdline()):
                found.append(process)
        except psutil.Error:
            continue
    return [process for process in found if server_process.is_alive(process)]


def end(server: PrivateServer) -> None:
    """Ends what a test has left running, and removes its 200 MB."""
    for process in processes_of(server.home):
        process.kill()
    wait_until(lambda: not processes_of(server.home))
    shutil.rmtree(server.home, ignore_errors=True)


def kill(server: PrivateServer) -> None:
    """Kills the server as a crash would."""
    pid = server.status().pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not processes_of(server.home))


def query(server: PrivateServer, *statements: str) -> tuple[tuple[object, ...], ...]:
    """The rows of the last of some statements."""
    connection = pymysql.connect(
        unix_socket=str(server.status().socket), user="root", database="lookalike", autocommit=True
    )
    with connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        return cursor.fetchall()


def starter(server: PrivateServer) -> "subprocess.Popen[str]":
    """Another process, in a session of its own, that starts the server."""
    return subprocess.Popen(
        [sys.executable, "-c", START, str(server.home)],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


@pytest.fixture(autouse=True)
def mysqld(installed_mysqld: Path, monkeypatch: pytest.MonkeyPatch) -> Mysqld:
    monkeypatch.setenv("LOOKALIKE_MYSQLD", str(installed_mysqld))
    return inspect(installed_mysqld)


@pytest.fixture
def new_server(tmp_path: Path) -> Iterator[PrivateServer]:
    """A server that has never been started."""
    server = PrivateServer(tmp_path / "home")
    yield server
    end(server)


@pytest.fixture(scope="module")
def stopped_data(
    installed_mysqld: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """The data folder of a server that was started and stopped, to be copied."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("LOOKALIKE_MYSQLD", str(installed_mysqld))
        server = PrivateServer(tmp_path_factory.mktemp("stopped") / "home")
        server.start()
        assert server.stop()
    yield server.status().datadir
    shutil.rmtree(server.home)


@pytest.fixture
def server(new_server: PrivateServer, stopped_data: Path) -> PrivateServer:
    """A server that has been started and stopped."""
    shutil.copytree(stopped_data, new_server.status().datadir)
    new_server.home.chmod(0o700)
    return new_server


def test_the_first_start_makes_a_server_with_a_database(
    new_server: PrivateServer, mysqld: Mysqld
) -> None:
    told: list[str] = []
    started = new_server.start(progress=lambda step, done, total: told.append(step))
    assert told == ["Making MySQL's data folder", "Starting MySQL"]
    assert started == ServerStatus(
        running=True,
        version=mysqld.version,
        pid=started.pid,
        socket=new_server.home / "run" / "mysql.sock",
        datadir=new_server.home / "data",
        mysqld=mysqld.path,
        url=new_server.url,
        log=new_server.home / "mysqld.log",
        buffer_pool=started.buffer_pool,
        stop_after_idle=None,
    )
    assert new_server.status() == started
    assert query(new_server, "SELECT DATABASE(), @@skip_networking, @@log_bin") == (
        ("lookalike", 1, 0),
    )
    assert query(new_server, "SELECT @@innodb_flush_log_at_trx_commit") == ((1,),)
    assert new_server.home.stat().st_mode & 0o777 == 0o700
    assert started.socket.parent.stat().st_mode & 0o777 == 0o700


def test_a_running_server_is_left_as_it_is(server: PrivateServer) -> None:
    started = server.start()
    assert server.start() == started
    query(server, "DROP DATABASE lookalike")
    assert server.start() == started
    assert query(server, "SELECT DATABASE()") == (("lookalike",),)


def test_stop_is_a_clean_shutdown(server: PrivateServer) -> None:
    assert not server.stop()
    server.start()
    assert server.stop()
    assert not processes_of(server.home)
    status = server.status()
    assert (status.running, status.pid) == (False, None)
    assert not status.socket.exists()
    assert "Shutdown complete" in status.log.read_text()
    assert not server.stop()


def test_two_processes_that_start_it_at_once_end_with_one(new_server: PrivateServer) -> None:
    starters = [starter(new_server) for _ in range(2)]
    pids = {process.communicate(timeout=LIMIT)[0].strip() for process in starters}
    assert [process.returncode for process in starters] == [0, 0]
    assert pids == {str(new_server.status().pid)}
    assert len(processes_of(new_server.home)) == 1


def test_it_outlives_the_process_that_started_it_and_its_terminal(server: PrivateServer) -> None:
    with starter(server) as process:
        pid = int(process.communicate(timeout=LIMIT)[0])
    assert os.getsid(pid) not in {process.pid, os.getsid(0)}
    assert server.status().pid == pid
    assert query(server, "SELECT 1") == ((1,),)


def test_data_survives_kill_9(server: PrivateServer) -> None:
    first = server.start()
    query(server, "CREATE TABLE t (id INT PRIMARY KEY)", "INSERT INTO t VALUES (1), (2), (3)")
    kill(server)
    assert first.socket.exists()
    assert (server.home / "mysqld.pid").exists()
    assert not server.status().running
    assert not server.stop()
    assert server.start().pid != first.pid
    assert query(server, "SELECT COUNT(*) FROM t") == ((3,),)


def test_the_pid_of_another_process_is_never_taken_for_the_server(server: PrivateServer) -> None:
    pid_file = server.home / "mysqld.pid"
    with subprocess.Popen(["sleep", "600"]) as another:
        pid_file.write_text(f"{another.pid}\n")
        assert not server.status().running
        assert not server.stop()
        started = server.start()
        pid_file.write_text(f"{another.pid}\n")
        assert server.status() == started
        assert server.stop()
        assert another.poll() is None
        another.terminate()


@pytest.mark.parametrize("text", ["", "nonsense", "-1", "0", "9" * 30])
def test_a_pid_file_of_nonsense(server: PrivateServer, text: str) -> None:
    (server.home / "mysqld.pid").write_text(text)
    assert not server.status().running


def test_a_server_without_its_pid_file_is_found(server: PrivateServer) -> None:
    started = server.start()
    (server.home / "mysqld.pid").unlink()
    assert server.status() == started
    assert server.start() == started
    assert server.stop()
    assert not processes_of(server.home)


def test_a_stale_lock_of_the_socket_with_the_pid_of_a_living_process(
    server: PrivateServer,
) -> None:
    server.start()
    kill(server)
    Path(f"{server.status().socket}.lock").write_text(f"{os.getpid()}\n")
    assert server.start().running


def test_a_starter_that_is_killed_leaves_nothing_half(new_server: PrivateServer) -> None:
    with starter(new_server) as process:
        wait_until(lambda: list(new_server.home.glob("data.new-*/data/*")))
        process.kill()
    assert not (new_server.home / "data").exists()
    assert new_server.start().running
    wait_until(lambda: len(processes_of(new_server.home)) == 1)


def test_data_of_a_newer_mysql(server: PrivateServer, mysqld: Mysqld) -> None:
    tablespace = server.status().datadir / "mysql.ibd"
    page = bytearray(tablespace.read_bytes()[:PAGE])
    page[8:12] = (99900).to_bytes(4)  # the version of the server that wrote it
    checksum = (crc32c(page[4:26]) ^ crc32c(page[38 : PAGE - 8])).to_bytes(4)
    page[0:4] = page[PAGE - 8 : PAGE - 4] = checksum
    with tablespace.open("r+b") as file:
        file.write(page)
    with pytest.raises(ServerError) as refusal:
        server.start()
    first, *rest = str(refusal.value).splitlines()
    number = mysqld.version.partition("-")[0]
    assert first == (
        f"MySQL {number} could not start on {server.home}/data, which MySQL 9.99.0 has made: "
        "set LOOKALIKE_MYSQLD to a mysqld 9.99.0, or move the folder away"
    )
    assert any("Cannot downgrade from 99900" in line for line in rest)


def crc32c(data: bytes | bytearray) -> int:
    """The checksum of InnoDB's pages."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def test_damaged_data(server: PrivateServer) -> None:
    (server.status().datadir / "mysql.ibd").write_bytes(b"garbage" * 10000)
    (server.home / "mysqld.log").write_text("of an earlier start\n")
    with pytest.raises(ServerError) as refusal:
        server.start()
    first, *rest = str(refusal.value).splitlines()
    assert first.startswith(f"MySQL could not start on {server.home}/data: see the end of")
    assert any("[ERROR]" in line and "mysql.ibd" in line for line in rest)
    assert "of an earlier start" not in rest
    assert not server.status().running


def test_a_folder_that_is_no_data_folder(server: PrivateServer) -> None:
    shutil.rmtree(server.status().datadir)
    server.status().datadir.mkdir()
    (server.status().datadir / "letter.txt").write_text("not MySQL's")
    with pytest.raises(ServerError) as refusal:
        server.start()
    assert "[ERROR]" in str(refusal.value)
    assert (server.status().datadir / "letter.txt").read_text() == "not MySQL's"


def wrapper(folder: Path, mysqld: Mysqld, *, dies_at: str) -> Path:
    """A mysqld that is MySQL 9 until it is called with an option."""
    path = folder / "wrapper"
    path.write_text(
        f"""#!/bin/sh
case "$*" in *{dies_at}*) echo 'Segmentation fault' >&2; exit 139;; esac
shift
exec {shlex.join(mysqld.command())} "$@"
"""
    )
    path.chmod(0o755)
    return path


@pytest.mark.parametrize("dies_at", ["--initialize-insecure", "--daemonize"])
def test_a_mysqld_that_dies(
    new_server: PrivateServer,
    mysqld: Mysqld,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    dies_at: str,
) -> None:
    path = wrapper(tmp_path, mysqld, dies_at=dies_at)
    monkeypatch.setenv("LOOKALIKE_MYSQLD", str(path))
    with pytest.raises(ServerError, match=r"^MySQL could not start on \S+: .*\nSegmentation fault"):
        new_server.start()
    assert (new_server.home / "data").exists() is (dies_at == "--daemonize")
    monkeypatch.setenv("LOOKALIKE_MYSQLD", str(mysqld.path))
    assert new_server.start().running


def test_a_mysqld_that_is_gone_after_its_start(
    server: PrivateServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "mysqld"
    path.write_text("#!/bin/sh\necho 'mysqld  Ver 9.7.4 for Linux'\n")
    path.chmod(0o755)
    monkeypatch.setenv("LOOKALIKE_MYSQLD", str(path))
    with pytest.raises(ServerError, match="started but stopped again"):
        server.start()


def test_two_servers_on_one_data_folder(
    server: PrivateServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_process, "UNLOCK_LIMIT", 0.1)
    server.start()
    other = PrivateServer(server.home.with_name("other"))
    other.home.mkdir(mode=0o700)
    (other.home / "data").symlink_to(server.home / "data")
    with pytest.raises(ServerError, match=r"data is in use by a mysqld that is not ours"):
        other.start()


@pytest.fixture
def long_server(tmp_path: Path, stopped_data: Path) -> Iterator[PrivateServer]:
    """A server that has been started and stopped, whose home is too long for a socket."""
    server = PrivateServer(tmp_path / ("long" * 40))
    shutil.copytree(stopped_data, server.home / "data")
    server.home.chmod(0o700)
    yield server
    folder = server.socket.parent
    end(server)
    if folder.is_relative_to("/tmp/"):
        shutil.rmtree(folder, ignore_errors=True)


def test_a_home_too_long_for_a_socket(long_server: PrivateServer, tmp_path: Path) -> None:
    socket = long_server.start().socket
    assert not socket.is_relative_to(tmp_path)
    assert socket.parent.stat().st_mode & 0o777 == 0o700
    assert query(long_server, "SELECT 1") == ((1,),)
    with lookalike.connect(long_server.url) as db:
        assert db.rows("SELECT 1")[1] == [(1,)]
    assert long_server.stop()
    assert long_server.start().socket == socket


def cli(server: PrivateServer, *args: str) -> "subprocess.CompletedProcess[str]":
    """A command of `lookalike` on a server."""
    return subprocess.run(
        [sys.executable, "-m", "lookalike", *args],
        env={**os.environ, "LOOKALIKE_HOME": str(server.home)},
        capture_output=True,
        text=True,
        timeout=LIMIT,
    )


@pytest.fixture
def stranger() -> int:
    """Another user, as whom this one may run processes."""
    if os.geteuid() != 0:
        pytest.skip("a process of another user needs root")
    return 65534


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
    with fake_mysql.running(server.socket, heard, user=stranger):
        calls = (server.start, server.status, lookalike.connect, db.connection.reopen)
        for call in (*calls, db.connection.open_another, lambda: lookalike.connect(server.url)):
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


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Makes a disk of a size, where this user may mount one."""
    disk = tmp_path / "disk"
    disk.mkdir()

    def mount(size: str) -> Path:
        command = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(disk)]
        if os.geteuid() != 0 or subprocess.run(command, capture_output=True).returncode != 0:
            pytest.skip("mounting a small disk needs root")
        return disk

    yield mount
    if disk.is_mount():
        subprocess.run(["umount", str(disk)], check=True)


def test_a_disk_too_small_for_data(small_disk: Callable[[str], Path]) -> None:
    server = PrivateServer(small_disk("30m") / "home")
    with pytest.raises(ServerError, match=r"data folder needs 300 MB, and \S+ has (29|30) MB free"):
        server.start()
    assert {path.name for path in server.home.iterdir()} <= {"server.lock"}


def test_a_disk_that_fills_up_while_data_is_made(
    small_disk: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server_process, "DATA_MEGABYTES", 1)
    server = PrivateServer(small_disk("60m") / "home")
    with pytest.raises(ServerError, match=r"the disk of \S+/data is full: free some space[^$]*\n"):
        server.start()
    assert {path.name for path in server.home.iterdir()} <= {"server.lock"}


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
