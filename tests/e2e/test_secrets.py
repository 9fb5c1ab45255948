"""The database's password: in no output, no command line of a child process and no file."""

import logging
import subprocess
import sys
import time
import traceback
from collections.abc import Iterator
from urllib.parse import quote

import psutil
import pytest

import lookalike
from lookalike import DatabaseError, LookalikeError

PASSWORD = "Gehe1m/n\u20acs"  # with what has to be encoded, and what is not Latin-1
PIECE = "Gehe1m"


@pytest.fixture
def secret_url(db, database_url) -> Iterator[str]:
    """The URL of a user with a password."""
    name = database_url.partition("?")[0].rpartition("/")[2]
    db.rows("CREATE USER keeper@localhost IDENTIFIED BY %s", (PASSWORD,))
    db.rows(f"GRANT ALL ON {name}.* TO keeper@localhost")
    yield database_url.replace("root@", f"keeper:{quote(PASSWORD, safe='')}@")
    db.rows("DROP USER keeper@localhost")


def command_lines(process):
    """The command lines of a process's descendants."""
    for child in process.children(recursive=True):
        try:
            yield " ".join(child.cmdline())
        except psutil.Error:
            continue


@pytest.mark.nightly
@pytest.mark.parametrize("by_option", [False, True])
def test_a_password_is_nowhere(secret_url, environment, photos, tmp_path, by_option):
    environment |= {"LOOKALIKE_CACHE": str(tmp_path / "cache"), "TMPDIR": str(tmp_path)}
    environment["LOOKALIKE_DATABASE"] = "" if by_option else secret_url
    option = ["--database", secret_url] if by_option else []
    program = [sys.executable, "-m", "lookalike"]
    add = [*program, "add", str(photos), "--model", "efficientnet-lite2", "--verbose", *option]
    seen = set()
    with (
        (tmp_path / "output").open("w") as output,
        subprocess.Popen(add, stdout=output, stderr=output, env=environment) as process,
    ):
        while process.poll() is None:
            seen.update(command_lines(psutil.Process(process.pid)))
            time.sleep(0.02)
    assert process.returncode == 0
    commands = (["status"], ["search", str(photos / "cat.jpg"), "--explain", "-v"], ["sql", "NO"])
    with (tmp_path / "output").open("a") as output:
        for command in (*commands, ["search", "cat", "--json"], ["index", "check"]):
            called = [*program, *command, *option]
            subprocess.run(called, stdout=output, stderr=output, env=environment, check=False)
    assert any("decoder" in line for line in seen)
    assert not [line for line in seen if PIECE in line]
    assert "sql: " in (tmp_path / "output").read_text()
    for path in tmp_path.rglob("*"):
        if path.is_file():
            assert PIECE.encode() not in path.read_bytes(), path


def test_a_password_is_in_no_word_of_an_object_or_error(secret_url, caplog):
    caplog.set_level(logging.DEBUG)
    statements = []
    with lookalike.connect(secret_url, tracer=statements.append) as db:
        collection = db.collection("own", dim=2)
        collection.add_embeddings(["a"], [[1, 0]])
        texts = [repr(db), repr(db.connection), str(db.connection.url), repr(db.connection.url)]
        texts += [repr(collection), *map(repr, statements)]
        with pytest.raises(DatabaseError) as refused:
            db.rows("SELECT * FROM mysql.user")
        texts += traceback.format_exception(refused.value)
    for wrong in (
        secret_url.replace("mysql://", "mysqlx://"),
        secret_url.replace("%2F", "/"),
        secret_url.replace("mysql.sock", "nowhere.sock"),
        secret_url.replace("m%2F", "M%2F"),
        secret_url.replace("/test_", "/none_"),
        secret_url + "&no=1",
        secret_url + "&ssl_ca=/nowhere",
    ):
        with pytest.raises(LookalikeError) as refused:
            lookalike.connect(wrong)
        texts += traceback.format_exception(refused.value)
    assert not [text for text in [*texts, caplog.text] if PIECE.lower() in text.lower()]


@pytest.mark.parametrize("by_option", [False, True])
def test_the_shell_opens_the_named_database_and_shows_no_password(
    secret_url, environment, by_option
):
    environment["LOOKALIKE_DATABASE"] = "mysql://nobody@127.0.0.1:1/no" if by_option else secret_url
    shell = [sys.executable, "-m", "lookalike", "server", "shell", "-BNn"]
    shell += ["--database", secret_url] if by_option else []
    with subprocess.Popen(
        shell, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        process.stdin.write("SELECT CURRENT_USER(), DATABASE(); DO SLEEP(1);\n")
        process.stdin.flush()
        process.stdin.close()
        assert process.stdout.readline().split()[0] == "keeper@localhost"
        (client,) = [
            p for p in psutil.Process(process.pid).children() if "mysql" in str(p.cmdline())
        ]
        seen = [*client.cmdline(), *client.environ().values()]
    assert process.returncode == 0
    if by_option:
        assert not [text for text in seen if PIECE in text]
    else:  # what the user has put there himself
        assert not [text for text in seen if PIECE in text and text != secret_url]


@pytest.mark.parametrize("password", ['a"b\\c', "#x 'y';", " s \u00e9\t", "[client]", "p%41=z"])
def test_the_shell_takes_any_password(db, database_url, environment, password):
    name = database_url.partition("?")[0].rpartition("/")[2]
    db.rows("CREATE USER asker@localhost IDENTIFIED BY %s", (password,))
    try:
        db.rows(f"GRANT ALL ON {name}.* TO asker@localhost")
        url = database_url.replace("root@", f"asker:{quote(password, safe='')}@")
        shell = [sys.executable, "-m", "lookalike", "server", "shell", "--database", url]
        done = subprocess.run(
            [*shell, "-BNe", "SELECT USER()"],
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert (done.stdout, done.stderr) == ("asker@localhost\n", "")
    finally:
        db.rows("DROP USER asker@localhost")


def test_the_shell_by_itself_is_the_private_servers(environment):
    del environment["LOOKALIKE_DATABASE"]
    shell = [sys.executable, "-m", "lookalike", "server", "shell"]
    for args, database in (((), "lookalike"), (("--database", "mysql"), "mysql")):
        done = subprocess.run(
            [*shell, *args, "-BNe", "SELECT DATABASE()"],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout == f"{database}\n"
