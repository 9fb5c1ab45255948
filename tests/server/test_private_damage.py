"""Private servers whose data, program or disk is not as it should be."""

import shlex
import shutil
from pathlib import Path

import pytest

from lookalike.core.errors import ServerError
from lookalike.server.folders import Folders
from lookalike.server.mysqld import Mysqld
from lookalike.server.private import PrivateServer
from lookalike.server.process import launch
from tests.server.processes import PAGE

pytestmark = [pytest.mark.nightly, pytest.mark.usefixtures("mysqld")]


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


def test_two_servers_on_one_data_folder(server: PrivateServer, mysqld: Mysqld) -> None:
    server.start()
    other = Folders(server.home.with_name("other"))
    other.home.mkdir(mode=0o700)
    other.data.symlink_to(server.home / "data")
    with pytest.raises(ServerError, match=r"data is in use by a mysqld that is not ours"):
        launch(mysqld, other, 2**27, accepts=lambda: False, unlock_limit=0.1)
