"""The home folder: whose it is, where the socket goes, how much room there is."""

import os
import shutil
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from lookalike.errors import ServerError
from lookalike.server import PrivateServer
from lookalike.server.folders import LONGEST_SOCKET, Folders, make_private, require_space


def test_the_home_folder_is_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOOKALIKE_HOME", str(tmp_path / "variable"))
    assert PrivateServer().home == tmp_path / "variable"
    assert PrivateServer(tmp_path / "given").home == tmp_path / "given"
    monkeypatch.delenv("LOOKALIKE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_DATA_HOME", raising=False)
    assert PrivateServer().home.is_relative_to(tmp_path)
    assert PrivateServer().home.name == "lookalike"


def test_a_home_of_two_names_is_one_server(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    (tmp_path / "link").symlink_to("home")
    assert PrivateServer(tmp_path / "link").url == PrivateServer(tmp_path / "home").url


def test_the_url_names_the_socket(tmp_path: Path) -> None:
    server = PrivateServer(tmp_path / "a&b ö%")
    url = urlsplit(server.url)
    assert (url.scheme, url.username, url.hostname, url.path) == (
        "mysql",
        "root",
        "localhost",
        "/lookalike",
    )
    assert parse_qs(url.query) == {"unix_socket": [str(server.status().socket)]}


def test_looking_changes_nothing(tmp_path: Path) -> None:
    home = tmp_path / "home"
    status = PrivateServer(home).status()
    assert not status.running
    assert status.pid is None
    assert not home.exists()


def test_the_socket_of_a_long_home_is_elsewhere_and_short() -> None:
    short = Folders(Path("/home/me"))
    assert short.socket == Path("/home/me/run/mysql.sock")
    long, other = Folders(Path("/home") / ("ö" * 60)), Folders(Path("/home") / ("ü" * 60))
    assert len(os.fsencode(long.socket)) <= LONGEST_SOCKET
    assert long.socket == Folders(long.home).socket != other.socket


def test_a_folder_is_made_and_kept_private(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    make_private(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o755)
    make_private(folder)
    assert folder.stat().st_mode & 0o777 == 0o700


def test_a_link_is_not_taken_for_a_private_folder(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "link").symlink_to("theirs")
    with pytest.raises(ServerError, match="link does not belong to this user"):
        make_private(tmp_path / "link")


def test_anothers_home_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: tmp_path.stat().st_uid + 1)
    with pytest.raises(ServerError, match=r"does not belong to this user .*set LOOKALIKE_HOME"):
        PrivateServer(tmp_path).start()


def test_a_home_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ServerError, match=r"file: .*; mend that, or set LOOKALIKE_HOME"):
        PrivateServer(tmp_path / "file").start()


def test_room_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=250 * 2**20)
    monkeypatch.setattr("shutil.disk_usage", lambda folder: usage)
    require_space(tmp_path, megabytes=250, purpose="A thing")
    with pytest.raises(ServerError, match=r"^A thing needs 251 MB, and \S+ has 250 MB free: "):
        require_space(tmp_path, megabytes=251, purpose="A thing")
