"""What is set of the private server: its memory, and that it stops when nobody uses it."""

import os
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest

import lookalike
from lookalike import InputError, PrivateServer
from lookalike.server import idle
from lookalike.server.folders import Folders
from lookalike.server.process import find_process

pytestmark = pytest.mark.nightly

MEGABYTE = 2**20


@pytest.fixture(scope="module")
def home(installed_mysqld, tmp_path_factory):
    home = tmp_path_factory.mktemp("settings") / "home"
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("LOOKALIKE_MYSQLD", str(installed_mysqld))
        monkeypatch.setenv("LOOKALIKE_HOME", str(home))
        yield home
        PrivateServer(home).stop()


@pytest.fixture
def server(home):
    server = PrivateServer(home)
    yield server
    server.start(buffer_pool="auto", stop_after_idle="never")


def watchers(home):
    found = []
    for process in psutil.process_iter():
        try:
            if process.cmdline()[1:] == ["-m", "lookalike.server.idle", str(home), "mysql"]:
                found.append(process)
        except psutil.Error:
            continue
    return found


def runs(home):
    """Whether the server runs, without asking it, which would be using it."""
    return find_process(Folders(home)) is not None


def wait_until(is_so, seconds=40):
    deadline = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def pool_of(server):
    with lookalike.connect(server.url) as db:
        return db.rows("SELECT @@innodb_buffer_pool_size")[1][0][0]


def test_the_buffer_pool_holds_for_a_running_server_and_every_later_start(server):
    assert server.status().buffer_pool >= 128 * MEGABYTE
    assert server.start(buffer_pool="256M").running
    wait_until(lambda: pool_of(server) == 256 * MEGABYTE)
    assert server.status().buffer_pool == 256 * MEGABYTE
    server.stop()
    assert server.status().buffer_pool == 256 * MEGABYTE
    with lookalike.connect() as db:  # which starts it
        assert db.rows("SELECT @@innodb_buffer_pool_size")[1] == [(256 * MEGABYTE,)]
    with pytest.raises(InputError, match="such as 512M"):
        server.start(buffer_pool="much")


def test_an_idle_server_stops_and_the_next_command_starts_it_again(server, home):
    server.start(stop_after_idle="1s")
    server.start()
    wait_until(lambda: not runs(home))
    wait_until(lambda: not watchers(home))
    assert "Shutdown complete" in server.status().log.read_text()
    program = [sys.executable, "-m", "lookalike", "sql", "SELECT 40 + 2"]
    env = {name: os.environ[name] for name in os.environ if name != "LOOKALIKE_DATABASE"}
    done = subprocess.run(program, capture_output=True, text=True, check=True, env=env)
    assert "42" in done.stdout
    wait_until(lambda: not runs(home))


def test_it_never_stops_while_a_client_is_connected(server, home):
    server.start(stop_after_idle="1s")
    with lookalike.connect(server.url) as db:
        time.sleep(2.5)  # idle, but there
        db.rows("SELECT SLEEP(1)")
    assert runs(home)
    wait_until(lambda: not runs(home))


def test_a_client_that_comes_at_the_last_moment_keeps_it(server, home, monkeypatch):
    server.start()
    folders, clients = Folders(home), []
    hide = Folders.hide_socket

    def late(self):
        clients.append(lookalike.connect(server.url))
        hide(self)

    monkeypatch.setattr(Folders, "hide_socket", late)
    assert not idle._stop_if_idle(folders, psutil.Process(server.status().pid), settled=0.5)
    with clients[0] as db:
        assert db.rows("SELECT 1")[1] == [(1,)]
    assert server.status().running


def test_who_connects_while_it_stops_has_it_started_again(server, home, monkeypatch):
    started = server.start()
    folders, hidden, answers = Folders(home), threading.Event(), []
    hide = Folders.hide_socket

    def tell(self):
        hide(self)
        hidden.set()

    def connect():
        hidden.wait(10)
        with lookalike.connect() as db:
            answers.append(db.rows("SELECT 1")[1])

    monkeypatch.setattr(Folders, "hide_socket", tell)
    thread = threading.Thread(target=connect)
    thread.start()
    assert idle._stop_if_idle(folders, psutil.Process(started.pid))
    thread.join(60)
    assert answers == [[(1,)]]
    assert server.status().pid != started.pid


def test_a_watcher_that_is_killed_takes_nothing_with_it(server, home):
    server.start(stop_after_idle="1h")
    wait_until(lambda: len(watchers(home)) == 1)
    watchers(home)[0].send_signal(signal.SIGKILL)
    wait_until(lambda: not watchers(home))
    # At the worst moment, while the socket is hidden.
    Folders(home).hide_socket()
    with lookalike.connect() as db:
        assert db.rows("SELECT 1")[1] == [(1,)]
    wait_until(lambda: len(watchers(home)) == 1)
    server.start(stop_after_idle="never")
    watchers(home)[0].kill()
