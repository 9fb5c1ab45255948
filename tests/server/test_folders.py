"""The home folder: whose it is, where the socket goes, how much room there is."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from lookalike.core.errors import ServerError
from lookalike.server.folders import (
    LONGEST_SOCKET,
    Folders,
    check_private,
    make_private,
    require_space,
)
from lookalike.server.private import PrivateServer


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


@pytest.fixture
def long_homes(tmp_path: Path) -> Iterator[list[Folders]]:
    """Two homes too long for a socket."""
    homes = [Folders(tmp_path / (letter * 60)) for letter in "öü"]
    for folders in homes:
        make_private(folders.home)
    yield homes
    for folders in homes:
        if folders.run.is_relative_to("/tmp/"):
            shutil.rmtree(folders.run, ignore_errors=True)


def test_the_socket_of_a_short_home_is_in_it() -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        folders = Folders(Path(name))
        folders.make_run()
        assert folders.socket == Path(name, "run/mysql.sock")
        assert not folders.run.is_symlink()
        check_private(folders.run)


def test_the_socket_of_a_long_home_is_elsewhere_and_short(long_homes: list[Folders]) -> None:
    for folders in long_homes:
        folders.make_run()
        assert len(os.fsencode(folders.socket)) <= LONGEST_SOCKET
        check_private(folders.run)
    first, other = long_homes
    assert first.socket == Folders(first.home).socket != other.socket
    socket = first.socket
    first.make_run()
    assert first.socket == socket


@pytest.mark.parametrize("fault", ["gone", "open to others", "a file", "a link"])
def test_a_socket_folder_that_others_could_have_made_is_given_up(
    long_homes: list[Folders], fault: str
) -> None:
    folders, other = long_homes
    folders.make_run()
    other.make_run()
    old = folders.run
    if fault == "open to others":
        old.chmod(0o777)
    else:
        old.rmdir()
    if fault == "a file":
        old.touch()
    elif fault == "a link":
        old.symlink_to(other.run)
    with pytest.raises((ServerError, FileNotFoundError)) as refusal:
        check_private(folders.run)
    assert str(old) in str(refusal.value)
    folders.make_run()
    assert folders.run != old
    check_private(folders.run)
    if fault == "open to others":
        shutil.rmtree(old)
    else:
        old.unlink(missing_ok=True)


def test_a_home_that_was_somewhere_else_gets_a_socket_folder_that_fits(tmp_path: Path) -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        folders = Folders(Path(name, "home"))
        make_private(folders.home)
        folders.make_run()
        long = Folders(Path(name, "long" * 30))
        folders.home.rename(long.home)
        long.make_run()
        assert not long.run.is_relative_to(name)
        elsewhere = long.run
        long.home.rename(folders.home)
        folders.make_run()
        assert folders.run == Path(name, "home/run")
        check_private(folders.run)
        elsewhere.rmdir()


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
    with pytest.raises(ServerError, match=r"file: .*; fix that, or set LOOKALIKE_HOME"):
        PrivateServer(tmp_path / "file").start()


def test_room_on_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil.disk_usage(tmp_path)._replace(free=250 * 2**20)
    monkeypatch.setattr("shutil.disk_usage", lambda folder: usage)
    require_space(tmp_path, megabytes=250, purpose="A thing")
    with pytest.raises(ServerError, match=r"^A thing needs 251 MB, and \S+ has 250 MB free: "):
        require_space(tmp_path, megabytes=251, purpose="A thing")
