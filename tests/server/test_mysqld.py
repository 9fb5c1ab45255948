"""mysqld is found, and only MySQL 9 or newer is taken."""

from pathlib import Path

import pytest

from lookalike.core.errors import ServerError
from lookalike.server.mysqld import Mysqld, Tree, find, find_or_refuse, inspect

MYSQL_9 = "mysqld  Ver 9.7.4-2 for Linux on x86_64 ((Debian))"
MYSQL_8 = "mysqld  Ver 8.0.45 for Linux on x86_64 (MySQL Community Server - GPL)"
MARIADB = "mysqld  Ver 10.11.11-MariaDB-0+deb12u1 for debian-linux-gnu on x86_64 (Debian 12)"


def fake(path: Path, says: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return path


@pytest.fixture(autouse=True)
def nothing_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("LOOKALIKE_MYSQLD", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))


def test_the_version_of_mysql_9(tmp_path: Path) -> None:
    path = fake(tmp_path / "mysqld", MYSQL_9)
    assert inspect(path) == Mysqld(path, "9.7.4-2")


@pytest.mark.parametrize(
    ("says", "message"),
    [
        (MARIADB, "is MariaDB 10.11.11-MariaDB-0+deb12u1, and MySQL 9 or newer is needed"),
        (MYSQL_8, "is MySQL 8.0.45, and MySQL 9 or newer is needed"),
        ("what?", "does not print a version as mysqld does: what?"),
    ],
)
def test_others_are_refused(tmp_path: Path, says: str, message: str) -> None:
    path = fake(tmp_path / "mysqld", says)
    with pytest.raises(ServerError) as refusal:
        inspect(path)
    assert str(refusal.value) == f"{path} {message}"


def test_a_path_that_is_no_program(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("not a program")
    for path in (tmp_path / "missing", tmp_path / "text", tmp_path):
        with pytest.raises(ServerError, match="is not a program"):
            inspect(path)


def test_a_program_of_another_machine(tmp_path: Path) -> None:
    path = tmp_path / "mysqld"
    path.write_bytes(b"\x7fELF of no machine")
    path.chmod(0o755)
    with pytest.raises(ServerError, match=r"does not run: .*Exec format error"):
        inspect(path)


def test_the_variable_goes_before_path_and_path_before_the_installed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = tmp_path / "tree"
    assert find(tree) is None
    installed = fake(tree / "usr/sbin/mysqld", MYSQL_9)
    assert find(tree) == Mysqld(installed, "9.7.4-2")
    on_path = fake(tmp_path / "bin/mysqld", MYSQL_9)
    assert find(tree) == Mysqld(on_path, "9.7.4-2")
    named = fake(tmp_path / "named/mysqld", MYSQL_9)
    monkeypatch.setenv("LOOKALIKE_MYSQLD", str(named))
    assert find(tree) == Mysqld(named, "9.7.4-2")


def test_mariadb_on_path_is_passed_over_and_named(tmp_path: Path) -> None:
    on_path = fake(tmp_path / "bin/mysqld", MARIADB)
    with pytest.raises(ServerError) as refusal:
        find_or_refuse(tmp_path / "tree")
    first, second = str(refusal.value).splitlines()
    assert first == "There is no MySQL 9 on this machine: run `lookalike server install`"
    assert second.startswith(f"{on_path} is MariaDB")


def test_an_unsuitable_variable_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake(tmp_path / "bin/mysqld", MYSQL_9)
    monkeypatch.setenv("LOOKALIKE_MYSQLD", str(fake(tmp_path / "maria", MARIADB)))
    with pytest.raises(ServerError, match=r"is MariaDB .* \(set by LOOKALIKE_MYSQLD\)$"):
        find(tmp_path)


def test_a_tree_is_recognised_by_its_loader(tmp_path: Path) -> None:
    mysqld = fake(tmp_path / "usr/sbin/mysqld", MYSQL_9)
    assert Tree.around(mysqld) is None
    loader = tmp_path / "usr/lib/aarch64-linux-gnu/ld-linux-aarch64.so.1"
    loader.parent.mkdir(parents=True)
    loader.touch()
    (tmp_path / "usr/lib/mysql/plugin").mkdir(parents=True)
    (tmp_path / "usr/share/mysql/english").mkdir(parents=True)
    (tmp_path / "usr/share/mysql/english/errmsg.sys").touch()
    tree = Tree.around(mysqld)
    assert tree == Tree(tmp_path, loader)
    assert tree.through_loader() == [str(loader), "--library-path", str(loader.parent)]
    assert tree.options() == [
        f"--basedir={tmp_path}/usr",
        f"--lc-messages-dir={tmp_path}/usr/share/mysql",
        f"--character-sets-dir={tmp_path}/usr/share/mysql/charsets",
        f"--plugin-dir={tmp_path}/usr/lib/mysql/plugin",
    ]


def test_the_systems_own_mysqld_is_no_tree() -> None:
    assert Tree.around(Path("/usr/sbin/mysqld")) is None
    assert Tree.around(Path("/opt/mysql/bin/mysqld")) is None


def test_only_root_is_named_to_mysqld(monkeypatch: pytest.MonkeyPatch) -> None:
    mysqld = Mysqld(Path("/opt/mysql/bin/mysqld"), "9.7.4")
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert mysqld.command()[:3] == [str(mysqld.path), "--no-defaults", "--user=root"]
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert "--user=root" not in mysqld.command()


def test_the_client_is_the_one_beside_mysqld(tmp_path: Path) -> None:
    mysqld = Mysqld(tmp_path / "usr/sbin/mysqld", "9.7.4")
    fake(tmp_path / "bin/mysql", "another's client")
    with pytest.raises(ServerError, match=r"no mysql client beside .* install that of MySQL 9.7.4"):
        mysqld.client()
    client = fake(tmp_path / "usr/bin/mysql", "the client")
    assert mysqld.client() == [str(client)]
