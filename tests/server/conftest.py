"""Private servers, in homes of their own."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from lookalike.server.engine import ENGINES
from lookalike.server.mysqld import Mysqld, inspect
from lookalike.server.private import PrivateServer
from tests.server.processes import end


@pytest.fixture(scope="module")
def engine_name() -> str:
    """Whose servers these are; modules may have several."""
    return "mysql"


@pytest.fixture(scope="module")
def program(engine_name: str, request: pytest.FixtureRequest) -> Mysqld:
    """The installed program of the engine."""
    engine = ENGINES[engine_name]
    return inspect(request.getfixturevalue(f"installed_{engine.program}"), engine)


@pytest.fixture(autouse=True)
def mysqld(program: Mysqld, monkeypatch: pytest.MonkeyPatch) -> Mysqld:
    monkeypatch.setenv(program.engine.variable, str(program.path))
    return program


@pytest.fixture
def new_server(tmp_path: Path, engine_name: str) -> Iterator[PrivateServer]:
    """A server that has never been started."""
    server = PrivateServer(tmp_path / "home", engine=engine_name)
    yield server
    end(server)


@pytest.fixture(scope="module")
def stopped_data(program: Mysqld, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The data folder of a server that was started and stopped, to be copied."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv(program.engine.variable, str(program.path))
        home = tmp_path_factory.mktemp("stopped") / "home"
        server = PrivateServer(home, engine=program.engine.name)
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


@pytest.fixture
def long_server(tmp_path: Path, stopped_data: Path, engine_name: str) -> Iterator[PrivateServer]:
    """A server that has been started and stopped, whose home is too long for a socket."""
    server = PrivateServer(tmp_path / ("long" * 40), engine=engine_name)
    shutil.copytree(stopped_data, server.home / "data")
    server.home.chmod(0o700)
    yield server
    folder = server.socket.parent
    end(server)
    if folder.is_relative_to("/tmp/"):
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def stranger() -> int:
    """Another user, as whom this one may run processes."""
    if os.geteuid() != 0:
        pytest.skip("a process of another user needs root")
    return 65534


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
