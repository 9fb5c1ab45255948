"""The private servers: they start, stop and survive."""

import os
import subprocess
from pathlib import Path

import pytest

from lookalike.server.engine import ENGINES
from lookalike.server.mysqld import Mysqld
from lookalike.server.private import PrivateServer, ServerStatus
from tests.server.processes import LIMIT, kill, processes_of, query, starter, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("mysqld")]


@pytest.fixture(scope="module", params=ENGINES)
def engine_name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_the_first_start_makes_a_server_with_a_database(
    new_server: PrivateServer, mysqld: Mysqld
) -> None:
    told: list[str] = []
    started = new_server.start(progress=lambda step, done, total: told.append(step))
    title, program = mysqld.engine.title, mysqld.engine.program
    assert told == [f"Making {title}'s data folder", f"Starting {title}"]
    assert started == ServerStatus(
        engine=mysqld.engine.name,
        running=True,
        version=mysqld.version,
        pid=started.pid,
        socket=new_server.home / "run" / "mysql.sock",
        datadir=new_server.home / "data",
        mysqld=mysqld.path,
        url=new_server.url,
        log=new_server.home / f"{program}.log",
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
    assert server.folders.pid_file.exists()
    assert not server.status().running
    assert not server.stop()
    assert server.start().pid != first.pid
    assert query(server, "SELECT COUNT(*) FROM t") == ((3,),)


def test_the_pid_of_another_process_is_never_taken_for_the_server(server: PrivateServer) -> None:
    pid_file = server.folders.pid_file
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
    server.folders.pid_file.write_text(text)
    assert not server.status().running


def test_a_server_without_its_pid_file_is_found(server: PrivateServer) -> None:
    started = server.start()
    server.folders.pid_file.unlink()
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
