"""Who listens on the private server's socket, with processes of this user and of another."""

import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from lookalike.core.errors import ServerError
from lookalike.server.dial import dial, peer
from lookalike.server.folders import Folders, make_private
from tests import fake_mysql

NOBODY = 65534


@pytest.fixture
def folders() -> Iterator[Folders]:
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        made = Folders(Path(name).resolve())
        make_private(made.run)
        yield made


def test_the_peer_is_asked_of_the_connection(folders: Folders) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folders.socket))
        listener.listen()
        with dial(folders) as connected:
            assert peer(connected) == os.geteuid()


def test_nobody_listens(folders: Folders) -> None:
    with pytest.raises(FileNotFoundError):
        dial(folders)
    with socket.socket(socket.AF_UNIX) as closed:
        closed.bind(str(folders.socket))
    with pytest.raises(ConnectionRefusedError):
        dial(folders)


@pytest.mark.skipif(os.geteuid() != 0, reason="a process of another user needs root")
def test_another_users_server_hears_nothing(folders: Folders) -> None:
    heard = folders.home / "heard"
    with fake_mysql.running(folders.socket, heard, user=NOBODY):
        with pytest.raises(ServerError) as refusal:
            dial(folders)
        assert str(refusal.value).startswith(
            f"the server on {folders.socket} is another user's (uid {NOBODY}), not this user's "
        )
    assert heard.read_bytes() == b""


@pytest.mark.parametrize("mode", [0o755, 0o770, 0o707, 0o701])
def test_a_folder_that_others_may_enter(folders: Folders, mode: int) -> None:
    heard = folders.home / "heard"
    with fake_mysql.running(folders.socket, heard):
        dial(folders).close()
        folders.run.chmod(mode)
        with pytest.raises(ServerError, match=rf"run is not a folder .*, its mode is {mode:o}: "):
            dial(folders)


@pytest.mark.skipif(os.geteuid() != 0, reason="a folder of another user needs root")
def test_another_users_folder(folders: Folders) -> None:
    with fake_mysql.running(folders.socket, folders.home / "heard"):
        os.chown(folders.run, NOBODY, NOBODY)
        with pytest.raises(
            ServerError, match=f"run is not a folder .*, it belongs to uid {NOBODY}: "
        ):
            dial(folders)


def test_a_folder_that_is_a_link(folders: Folders) -> None:
    with fake_mysql.running(folders.socket, folders.home / "heard"):
        folders.run.rename(folders.home / "elsewhere")
        folders.run.symlink_to("elsewhere")
        with pytest.raises(ServerError, match=r"run is not a folder .*, it is not a folder: "):
            dial(folders)
