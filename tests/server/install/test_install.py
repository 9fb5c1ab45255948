"""Which way MySQL is installed, and what an installation that fails leaves: nothing."""

from pathlib import Path
from typing import Any

import pytest

from lookalike.core.errors import ServerError
from lookalike.core.progress import silent
from lookalike.server.commands import run
from lookalike.server.engine import MARIADB, MYSQL
from lookalike.server.install import debian
from lookalike.server.private import PrivateServer

MYSQLD = "#!/bin/sh\necho 'mysqld  Ver 9.7.4 for Linux on x86_64 (MySQL Community Server - GPL)'\n"
DOCKER = """#!/bin/sh
case $1 in
  create) echo 'Pulling'; echo c0ffee ;;
  export) cd "$IMAGE" && exec tar -c * ;;
  rm) echo "$2" >> "$IMAGE.removed" ;;
esac
"""


def program(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)
    return path


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder of programs, the first on PATH of a Linux machine without MySQL, apt and Docker."""
    monkeypatch.delenv("LOOKALIKE_MYSQLD", raising=False)
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("tar", "sh", "cat", "sleep"):
        (folder / name).symlink_to(run(["which", name], failure="which").strip())
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setattr("sys.platform", "linux")
    return folder


def test_no_way(bare: Path, tmp_path: Path) -> None:
    with pytest.raises(ServerError) as refusal:
        PrivateServer(tmp_path / "home").install()
    assert str(refusal.value) == (
        "MySQL 9 cannot be installed on this machine by itself: start Docker, install MySQL 9 and "
        "set LOOKALIKE_MYSQLD to its mysqld, or use your own server with --database URL"
    )


def test_a_mirror_needs_apt(bare: Path, tmp_path: Path) -> None:
    with pytest.raises(ServerError, match=r"--mirror http://m.example/debian needs apt-get"):
        PrivateServer(tmp_path / "home").install(mirror="http://me:p@ss@m.example/debian")


def unpack(folder: Path, **options: Any) -> None:
    """Unpack Debian's packages into a folder in this one, which is also that of the keyrings."""
    debian.unpack(folder / "tree", work=folder / "apt", progress=silent, keyrings=folder, **options)


def test_debians_keyring_is_needed(bare: Path, tmp_path: Path) -> None:
    program(bare / "dpkg", "#!/bin/sh\necho amd64\n")
    with pytest.raises(ServerError, match="install the package debian-archive-keyring"):
        unpack(tmp_path, mirror="http://m.example/debian")


def test_no_mirror_among_the_sources(tmp_path: Path) -> None:
    with pytest.raises(ServerError, match=r"No Debian mirror among the sources .*--mirror URL"):
        unpack(tmp_path, mirror=None, sources=tmp_path)


def test_a_failure_of_apt_names_the_mirror_without_its_password(bare: Path, tmp_path: Path) -> None:
    program(bare / "dpkg", "#!/bin/sh\necho amd64\n")
    program(bare / "apt-get", "#!/bin/sh\necho 'E: 404  Not Found'; exit 100\n")
    (tmp_path / "debian-archive-keyring.gpg").touch()
    with pytest.raises(ServerError) as refusal:
        unpack(tmp_path, mirror="http://me:sec@ret@m.example/debian")
    first, *rest = str(refusal.value).splitlines()
    assert "fetched from http://m.example/debian (suite sid)" in first
    assert rest == ["E: 404  Not Found"]


def test_an_installation_that_fails_leaves_nothing(bare: Path, tmp_path: Path) -> None:
    for name in ("apt-get", "dpkg", "dpkg-deb"):
        program(bare / name, "#!/bin/sh\nexit 100\n")
    server = PrivateServer(tmp_path / "home")
    with pytest.raises(ServerError, match="dpkg does not run"):
        server.install(mirror="http://m.example/debian")
    assert [path.name for path in server.home.iterdir()] == ["install.lock"]


def test_what_is_installed_already_stays(bare: Path, tmp_path: Path) -> None:
    mysqld = program(tmp_path / "home/mysql/usr/sbin/mysqld", MYSQLD)
    told: list[tuple[str, int, int]] = []
    path = PrivateServer(tmp_path / "home").install(progress=lambda *step: told.append(step))
    assert path == mysqld
    assert told == []


@pytest.fixture
def image(bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The root folder of an image of a stand-in for docker."""
    image = tmp_path / "image"
    monkeypatch.setenv("IMAGE", str(image))
    program(bare / "docker", DOCKER)
    program(image / "usr/sbin/mysqld", MYSQLD)
    program(image / "usr/bin/mysql", "the client")
    program(image / "usr/bin/other", "not wanted")
    program(image / "usr/share/mysql-9.7/english/errmsg.sys", "messages")
    return image


def test_docker_gives_what_mysql_needs_of_its_image(image: Path, tmp_path: Path) -> None:
    server = PrivateServer(tmp_path / "home")
    assert server.install() == server.home / "mysql/usr/sbin/mysqld"
    files = {
        str(path.relative_to(server.home)) for path in server.home.rglob("*") if path.is_file()
    }
    assert files == {
        "install.lock",
        "mysql/usr/sbin/mysqld",
        "mysql/usr/bin/mysql",
        "mysql/usr/share/mysql-9.7/english/errmsg.sys",
    }
    assert Path(f"{image}.removed").read_text() == "c0ffee\n"


def test_an_image_without_mysqld(image: Path, tmp_path: Path) -> None:
    (image / "usr/sbin/mysqld").unlink()
    server = PrivateServer(tmp_path / "home")
    with pytest.raises(
        ServerError, match=f"Docker's image {MYSQL.origin.image} could not be unpacked"
    ):
        server.install()
    assert [path.name for path in server.home.iterdir()] == ["install.lock"]
    assert Path(f"{image}.removed").read_text() == "c0ffee\n"


def test_a_docker_that_does_not_run_is_not_asked(bare: Path, tmp_path: Path) -> None:
    program(bare / "docker", "#!/bin/sh\necho 'Cannot connect to the Docker daemon' >&2; exit 1\n")
    with pytest.raises(ServerError, match="cannot be installed on this machine by itself"):
        PrivateServer(tmp_path / "home").install()


def test_an_installed_mysql_that_does_not_run_is_replaced(image: Path, tmp_path: Path) -> None:
    server = PrivateServer(tmp_path / "home")
    broken = program(server.home / "mysql/usr/sbin/mysqld", "#!/bin/sh\nexit 127\n")
    leftover = program(server.home / "install-killed/mysql/usr/sbin/mysqld", MYSQLD)
    assert server.install() == broken
    assert broken.read_text() == MYSQLD
    assert not leftover.exists()


def test_homebrew_on_macos(bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "darwin")
    server = PrivateServer(tmp_path / "home")
    with pytest.raises(ServerError, match="brew is not on PATH"):
        server.install()
    mysqld = bare / "mysqld"
    brew = f"#!/bin/sh\ncat > {mysqld} <<'END'\n{MYSQLD}END\n/bin/chmod +x {mysqld}\n"
    program(bare / "brew", brew)
    assert server.install() == mysqld


def test_a_home_that_a_loader_cannot_name(bare: Path, tmp_path: Path) -> None:
    with pytest.raises(ServerError, match="because of ':' in its name: set LOOKALIKE_HOME"):
        PrivateServer(tmp_path / "a:b").install()


def test_a_command_that_is_interrupted_is_ended(bare: Path) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run(["sleep", "600"], failure="sleep", meanwhile=interrupt)


def test_a_command_that_is_not_there(bare: Path) -> None:
    with pytest.raises(ServerError, match=r"^It failed\nmissing: No such file or directory$"):
        run(["missing"], failure="It failed")


def test_mariadb_is_installed_beside_mysql(image: Path, tmp_path: Path) -> None:
    mariadbd = "#!/bin/sh\necho 'mariadbd  Ver 11.8.9-MariaDB-ubu2404 for Linux on x86_64'\n"
    program(image / "usr/sbin/mariadbd", mariadbd)
    program(image / "usr/bin/mariadb", "the client")
    program(image / "usr/share/mariadb/english/errmsg.sys", "messages")
    server = PrivateServer(tmp_path / "home", engine="mariadb")
    told: list[str] = []
    path = server.install(progress=lambda step, done, total: told.append(step))
    assert path == tmp_path / "home/mariadb/mariadb/usr/sbin/mariadbd"
    assert list(dict.fromkeys(told)) == [
        f"Downloading Docker's image {MARIADB.origin.image}",
        "Unpacking MariaDB",
    ]
    assert not (server.folders.tree / "usr/sbin/mysqld").exists()
    assert server.install() == path
    assert PrivateServer(tmp_path / "home").install() == tmp_path / "home/mysql/usr/sbin/mysqld"
