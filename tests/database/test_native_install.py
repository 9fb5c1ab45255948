"""The native functions are installed and removed, or an administrator is told what to do."""

import json
import shutil
import stat
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

import lookalike
from lookalike import DatabaseError, ServerError
from lookalike.cli.main import main
from lookalike.core.vectors import pack
from lookalike.database import native as native_module
from lookalike.dialects.native import NATIVE_FUNCTIONS
from lookalike.server.native import build

NAMES = [each.name for each in NATIVE_FUNCTIONS]


def ask(db, expression, *params):
    return db.rows(f"SELECT {expression}", params)[1][0][0]


def plugin_folder(db):
    return Path(ask(db, "@@plugin_dir"))


def libraries(db):
    return {row[0] for row in db.rows("SELECT dl FROM mysql.func WHERE name LIKE 'lookalike%'")[1]}


def test_installing_never_turns_the_index_off(native, database_url):
    """The server is not taken for one with a DISTANCE of its own, with stored functions or not."""
    native.install_functions()
    with lookalike.connect(database_url) as again:
        assert again.dialect.name == "mysql"
        assert again.dialect.needs_index
        v = pack(np.array([3, 4], np.float32))
        assert ask(again, "DISTANCE(%s, %s, 'DOT')", v, v) == 25
        again.rows("DROP FUNCTION DISTANCE")
    with lookalike.connect(database_url) as again:
        assert again.dialect.name == "mysql"


def test_installing_twice_changes_nothing(native):
    (before,) = libraries(native)
    file = plugin_folder(native) / before
    inode = file.stat().st_ino
    assert native.install_native_functions() == NAMES
    assert libraries(native) == {before}
    assert file.stat().st_ino == inode


def test_another_version_replaces_the_functions_and_the_file(native, monkeypatch):
    (before,) = libraries(native)
    source = native_module.native_c()
    monkeypatch.setattr(
        native_module, "native_c", lambda: source + '\nEXPORT const char other[] = "2";\n'
    )
    native.install_native_functions()
    (after,) = libraries(native)
    assert after != before
    assert not (plugin_folder(native) / before).exists()
    assert native.native_functions() == set(NAMES)


def test_what_is_missing_is_not_named(native):
    native.rows("DROP FUNCTION lookalike_native_planes")
    assert native.native_functions() == set(NAMES) - {"lookalike_native_planes"}
    native.install_native_functions()
    assert native.native_functions() == set(NAMES)


def test_removing_drops_the_functions_and_deletes_the_file(native):
    (library,) = libraries(native)
    assert native.remove_native_functions() == sorted(NAMES)
    assert native.native_functions() == frozenset()
    assert not (plugin_folder(native) / library).exists()
    assert native.remove_native_functions() == []


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home folder for the files that an administrator is given."""
    monkeypatch.setenv("LOOKALIKE_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def commands(said):
    """The files and the folder of an error's commands."""
    told = said.partition("have an administrator run on the server's machine")[2]
    first, _, second = told.partition("install -m 644 ")[2].partition(" && mysql < ")
    return [Path(each) for each in (*first.split(), second)]


def test_a_user_without_privileges_is_told_what_an_administrator_runs(bare, home, database_url):
    bare.rows("CREATE USER maker@localhost IDENTIFIED BY 'm'")
    url = database_url.replace("root@", "maker:m@")
    try:
        bare.rows(f"GRANT ALL ON {bare.connection.url.database}.* TO maker@localhost")
        bare.rows("GRANT SELECT, DELETE ON mysql.* TO maker@localhost")
        with lookalike.connect(url) as made:
            with pytest.raises(DatabaseError, match="'maker' lacks INSERT on mysql") as refused:
                made.install_native_functions()
            with pytest.raises(DatabaseError, match="run DROP FUNCTION IF EXISTS lookalike_native"):
                made.remove_native_functions()
            assert made.native_functions() == frozenset()
            library, script, folder = (commands(str(refused.value))[i] for i in (0, 2, 1))
            assert folder == plugin_folder(bare)
            # The administrator does as told; then anybody may call them.
            placed = Path(shutil.copy(library, folder))
            for line in script.read_text().splitlines():
                with bare.session():
                    bare.rows(line.rstrip(";"))
            assert made.native_functions() == set(NAMES)
            assert made.install_native_functions() == NAMES
        bare.rows("GRANT INSERT ON mysql.* TO maker@localhost")
        with lookalike.connect(url) as made:
            assert made.install_native_functions() == NAMES
            assert made.remove_native_functions() == sorted(NAMES)
        assert not placed.exists()
    finally:
        bare.rows("DROP USER maker@localhost")


def test_a_folder_that_cannot_be_written_to(bare, home, monkeypatch):
    real = native_module.Library.put

    def put(library, folder):
        if folder == plugin_folder(bare):
            raise PermissionError(13, "Permission denied")
        return real(library, folder)

    monkeypatch.setattr(native_module.Library, "put", put)
    expected = r"/plugin cannot be written to: Permission denied .*; have an administrator"
    with pytest.raises(DatabaseError, match=expected) as refused:
        bare.install_native_functions()
    library, folder, script = commands(str(refused.value))
    assert library.parent == script.parent == home / "native"
    assert stat.S_IMODE(library.stat().st_mode) == 0o644
    assert bare.native_functions() == frozenset()
    shutil.copy(library, folder)
    assert bare.install_native_functions() == NAMES
    bare.remove_native_functions()


def test_a_server_on_another_machine(bare, home, monkeypatch):
    folder = set(plugin_folder(bare).iterdir())
    monkeypatch.setattr(native_module, "_is_here", lambda connection: False)
    expected = "on another machine .*; .*, to which both files have to be copied: install"
    with pytest.raises(DatabaseError, match=expected) as refused:
        bare.install_native_functions()
    assert "\n" not in str(refused.value)
    assert set(plugin_folder(bare).iterdir()) == folder


def test_a_machine_of_another_kind(bare, monkeypatch):
    monkeypatch.setattr(native_module.platform, "machine", lambda: "riscv64")
    with pytest.raises(DatabaseError, match="this one riscv64; run the command there"):
        bare.install_native_functions()


def test_a_library_that_the_server_does_not_open_is_taken_away(bare, home, monkeypatch):
    folder = set(plugin_folder(bare).iterdir())
    monkeypatch.setattr(
        native_module, "build", lambda source: native_module.Library(b"\x7fELF, no more")
    )
    with pytest.raises(DatabaseError, match="the server does not open .*Can't open shared library"):
        bare.install_native_functions()
    assert set(plugin_folder(bare).iterdir()) == folder


def test_what_is_there_is_kept_if_the_new_library_does_not_open(native, home, monkeypatch):
    before = libraries(native)
    monkeypatch.setattr(
        native_module, "build", lambda source: native_module.Library(b"\x7fELF, no more")
    )
    with pytest.raises(DatabaseError, match="the server does not open"):
        native.install_native_functions()
    assert native.native_functions() == set(NAMES)
    assert libraries(native) == before


def test_no_compiler(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ServerError, match="there is no gcc.*apt install gcc libc6-dev"):
        build("int x;")


def test_a_compiler_that_fails():
    with pytest.raises(
        ServerError, match="error: .*nothing.h.*apt install gcc libc6-dev"
    ) as failed:
        build("#include <nothing.h>")
    assert "\n" not in str(failed.value)


def test_the_same_source_is_the_same_file():
    source = "int lookalike_x = 1;"
    assert build(source).name == build.__wrapped__(source).name
    assert build(source).name != build("int lookalike_x = 2;").name


def test_a_damaged_file_is_replaced(tmp_path):
    library = build("int lookalike_x = 1;")
    assert library.put(tmp_path)
    assert not library.put(tmp_path)
    (tmp_path / library.name).write_bytes(b"half")
    assert library.put(tmp_path)
    assert [path.read_bytes() for path in tmp_path.iterdir()] == [library.content]


PROCEDURE = """
CREATE PROCEDURE differing(IN code LONGBLOB, IN plane LONGBLOB)
BEGIN
    DECLARE is_native INT DEFAULT 0;
    BEGIN
        DECLARE CONTINUE HANDLER FOR 1305, 1370 BEGIN END;
        SET is_native = lookalike_native_estimate(x'0F', x'FFF0') = 20;
    END;
    IF is_native THEN
        SELECT 'native', lookalike_native_estimate(code, plane);
    ELSE
        SELECT 'plain', BIT_COUNT(CAST(code AS BINARY) ^ CAST(plane AS BINARY));
    END IF;
END"""


def test_a_procedure_uses_them_where_they_are(bare, database_url):
    bare.rows(PROCEDURE)
    call = "CALL differing(x'0F', x'F1')"
    bare.rows("CREATE USER caller@localhost IDENTIFIED BY 'c'")
    try:
        bare.rows(f"GRANT ALL ON {bare.connection.url.database}.* TO caller@localhost")
        for kind in ("plain", "native", "plain"):
            for user in ("root", "caller:c"):
                with lookalike.connect(database_url.replace("root@", f"{user}@")) as db:
                    assert db.rows(call)[1] == [(kind, 7)]
            if kind == "plain":
                bare.install_native_functions()
            else:
                bare.remove_native_functions()
    finally:
        bare.rows("DROP USER caller@localhost")


def test_the_command(bare, database_url):
    def run(*options):
        done = CliRunner().invoke(main, ["install-functions", "--database", database_url, *options])
        return done.exit_code, done.stdout.strip() or done.stderr.strip()

    assert run("--native") == (0, f"Installed {', '.join(NAMES)} on the server.")
    assert bare.native_functions() == set(NAMES)
    status, said = run("--native", "--remove", "--json")
    assert (status, json.loads(said)) == (0, {"database": None, "functions": sorted(NAMES)})
    assert run("--native", "--remove") == (0, "Removed nothing from the server.")
    assert run("--remove")[0] == run("--native", "--show-sql")[0] == 2
