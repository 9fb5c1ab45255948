"""Connecting over TCP and TLS, refusals, and servers that will not do."""

import contextlib
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pymysql
import pytest

import lookalike
from lookalike import ConnectionFailed, DatabaseError, InputError, UnsupportedServer
from lookalike.dialects.mysql import MySQL
from lookalike.dialects.mysql_native import MySQLNative
from lookalike.server.mysqld import inspect

PASSWORD = "p/w: %?"
QUOTED = "p%2Fw%3A%20%25%3F"


@dataclass
class Tcp:
    """A MySQL on a port of this machine, with passwords, TLS and a binary log."""

    port: int
    data: Path
    root: "pymysql.Connection"

    def url(self, user="me", password=QUOTED, database="shop", options=""):
        return f"mysql://{user}:{password}@127.0.0.1:{self.port}/{database}{options}"

    def run(self, *statements):
        with self.root.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)


@pytest.fixture(scope="module")
def tcp(installed_mysqld, tmp_path_factory) -> Iterator[Tcp]:
    folder = tmp_path_factory.mktemp("tcp")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    socket_path = folder / "s"
    command = [*inspect(installed_mysqld).command(), f"--datadir={folder / 'data'}"]
    subprocess.run([*command, "--initialize-insecure"], check=True, capture_output=True)
    options = [f"--port={port}", "--bind-address=127.0.0.1", f"--socket={socket_path}"]
    options += ["--mysqlx=OFF", "--log-bin", "--innodb-buffer-pool-size=128M"]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen([*command, *options], stdout=log, stderr=log)
    try:
        root = _wait_for(process, socket_path, folder / "log")
        server = Tcp(port, folder / "data", root)
        server.run("CREATE DATABASE shop", f"CREATE USER me@'%' IDENTIFIED BY '{PASSWORD}'")
        server.run("GRANT ALL ON shop.* TO me@'%'")
        yield server
        root.close()
    finally:
        process.terminate()
        process.wait(60)


def _wait_for(process, socket_path, log):
    for _ in range(600):
        assert process.poll() is None, log.read_text()
        with contextlib.suppress(pymysql.err.OperationalError):
            return pymysql.connect(
                unix_socket=str(socket_path), user="root", autocommit=True, charset="utf8mb4"
            )
        time.sleep(0.1)
    raise AssertionError(log.read_text())


@pytest.mark.parametrize("mode", ["", "?ssl_mode=REQUIRED", "?ssl_mode=VERIFY_CA&ssl_ca={ca}"])
def test_tcp_with_password_and_tls(tcp, mode):
    options = mode.format(ca=tcp.data / "ca.pem")
    with lookalike.connect(tcp.url(options=options)) as db:
        assert db.rows("SHOW STATUS LIKE 'Ssl_cipher'")[1][0][1] != ""


def test_a_password_may_have_any_letters(tcp):
    tcp.run("CREATE USER other@'%' IDENTIFIED BY 'pässwörd 密'", "GRANT ALL ON shop.* TO other@'%'")
    with lookalike.connect(tcp.url("other", "pässwörd%20密")) as db:
        assert db.rows("SELECT 1")[1] == [(1,)]


@pytest.mark.parametrize("greeting", [b"", b"SSH-2.0-OpenSSH_9.9\r\n", b"\x04\x00\x00\x00\x0a9.0"])
def test_what_is_no_mysql_is_told(greeting):
    def answer():
        client, _ = listener.accept()
        with client:
            client.sendall(greeting)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer)
        thread.start()
        port = listener.getsockname()[1]
        with pytest.raises(ConnectionFailed, match="cannot reach .* running there") as caught:
            lookalike.connect(f"mysql://me@127.0.0.1:{port}/d?connect_timeout=5")
        thread.join()
    assert "\n" not in str(caught.value)


def test_tls_switched_off_still_hides_the_password(tcp):
    with lookalike.connect(tcp.url(options="?ssl_mode=DISABLED")) as db:
        assert db.rows("SHOW STATUS LIKE 'Ssl_cipher'")[1][0][1] == ""


def test_a_certificate_that_does_not_verify_is_refused(tcp):
    with pytest.raises(ConnectionFailed, match="certificate verify failed"):
        lookalike.connect(tcp.url(options="?ssl_mode=VERIFY_IDENTITY"))


def test_the_environment_names_the_database(tcp, monkeypatch):
    monkeypatch.setenv("LOOKALIKE_DATABASE", tcp.url())
    with lookalike.connect() as db:
        assert db.connection.url.database == "shop"
        own = db.collection("own", dim=2)
        own.add_embeddings(["a", "b"], np.eye(2))
        assert own.search(np.array([1, 0.1]), k=1)[0].image_name == "a"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"password": "wrong"}, "refused user 'me': .*; check the user and its password"),
        ({"user": "nobody"}, "refused user 'nobody'"),
        ({"database": "none"}, "lacks a privilege|no database 'none'"),
    ],
)
def test_refusals_are_told(tcp, arguments, message):
    with pytest.raises(DatabaseError, match=message) as caught:
        lookalike.connect(tcp.url(**arguments))
    assert PASSWORD not in str(caught.value) and QUOTED not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_database_that_is_not_there(server):
    with pytest.raises(ConnectionFailed, match="no database 'none' .*: create it with CREATE"):
        lookalike.connect(server.url.replace("/lookalike?", "/none?"))


def test_a_server_that_is_down(tmp_path):
    with pytest.raises(ConnectionFailed, match="is the server running there"):
        lookalike.connect("mysql://me:secret@127.0.0.1:1/d")
    with pytest.raises(ConnectionFailed, match="is the server running there"):
        lookalike.connect(f"mysql://me@localhost/d?unix_socket={tmp_path}/none.sock")


def test_a_user_who_may_only_read_can_search(tcp):
    with lookalike.connect(tcp.url()) as db:
        db.collection("readable", dim=2).add_embeddings(["a", "b"], np.eye(2))
    tcp.run("CREATE USER reader@'%' IDENTIFIED BY 'r'", "GRANT SELECT ON shop.* TO reader@'%'")
    with lookalike.connect(tcp.url("reader", "r")) as db:
        readable = db.collection("readable")
        assert readable.search(1)[0].image_name == "b"
        with pytest.raises(DatabaseError, match=r"user 'reader' lacks a privilege: DELETE .*GRANT"):
            readable.remove_rows([1])
        with pytest.raises(DatabaseError, match="lacks a privilege: CREATE"):
            db.collection("more", dim=2).add_embeddings(["a"], [[1, 2]])


@pytest.mark.parametrize(
    ("granted", "lacking"),
    [
        ("SELECT", "CREATE ROUTINE, ALTER ROUTINE, EXECUTE"),
        ("CREATE ROUTINE", "ALTER ROUTINE, EXECUTE"),
        ("EXECUTE, CREATE ROUTINE", "ALTER ROUTINE"),
        ("EXECUTE, ALTER ROUTINE", "CREATE ROUTINE"),
        ("ALTER ROUTINE, EXECUTE, CREATE ROUTINE", ""),
    ],
)
def test_all_that_functions_need_is_told_at_once_and_is_enough(tcp, granted, lacking):
    before = "SET GLOBAL log_bin_trust_function_creators = 0"
    # What a role has counts as well.
    tcp.run(before, "DROP USER IF EXISTS maker@'%'", "DROP ROLE IF EXISTS part")
    tcp.run("CREATE USER maker@'%' IDENTIFIED BY 'r'", "CREATE ROLE part")
    first, *rest = granted.split(", ")
    tcp.run(f"GRANT {first} ON shop.* TO maker@'%'", "GRANT part TO maker@'%'")
    for privilege in rest:
        tcp.run(f"GRANT {privilege} ON shop.* TO part")
    tcp.run("SET DEFAULT ROLE part TO maker@'%'")
    with lookalike.connect(tcp.url("maker", "r")) as db, pytest.raises(DatabaseError) as refused:
        db.install_functions()
    said = str(refused.value)
    assert (f"user 'maker' lacks {lacking} on database shop" in said) == bool(lacking)
    assert "only users with SUPER create functions" in said
    statements = said.partition("have an administrator run ")[2].rstrip(";").split("; ")
    needed = "CREATE ROUTINE, ALTER ROUTINE, EXECUTE"
    expected = [f"GRANT {needed} ON `shop`.* TO 'maker'@'%'"] if lacking else []
    assert statements == [*expected, "SET PERSIST log_bin_trust_function_creators = 1"]
    tcp.run(*statements)
    with lookalike.connect(tcp.url("maker", "r")) as db:
        assert db.install_functions()[:3] == ["my_dot_product", "my_vec_norm", "DISTANCE"]
    tcp.run("RESET PERSIST log_bin_trust_function_creators", before)


def test_a_binary_log_that_forbids_functions_is_explained(tcp):
    with (
        lookalike.connect(tcp.url()) as db,
        pytest.raises(DatabaseError, match="SET PERSIST log_bin_trust_function_creators = 1"),
    ):
        db.install_functions()
    tcp.run("SET GLOBAL log_bin_trust_function_creators = 1")
    with lookalike.connect(tcp.url()) as db:
        assert db.install_functions()


def test_native_functions_are_kept_out_of_the_binary_log(tcp, own_library):
    """A replica that lacks the library would stop at the statement."""
    tcp.run("DROP USER IF EXISTS chief@'%'", "CREATE USER chief@'%' IDENTIFIED BY 'c'")
    tcp.run("GRANT SELECT, INSERT, DELETE ON mysql.* TO chief@'%'", "GRANT ALL ON shop.* TO chief")
    with lookalike.connect(tcp.url("chief", "c")) as db:
        expected = r"'chief' lacks SESSION_VARIABLES_ADMIN \(replicas must not repeat"
        with pytest.raises(DatabaseError, match=expected):
            db.install_native_functions()
        tcp.run("GRANT SESSION_VARIABLES_ADMIN ON *.* TO chief@'%'", "FLUSH BINARY LOGS")
        assert db.install_native_functions()
        assert db.native_functions()
        assert db.remove_native_functions()
    with tcp.root.cursor() as cursor:
        cursor.execute("SHOW BINARY LOG STATUS")
        cursor.execute(f"SHOW BINLOG EVENTS IN '{cursor.fetchone()[0]}'")
        assert not [event for event in cursor.fetchall() if "FUNCTION" in event[5]]


def test_a_server_without_vector_is_refused(mariadb, monkeypatch):
    monkeypatch.setattr("lookalike.database.probe.DIALECTS", (MySQLNative, MySQL))
    with pytest.raises(UnsupportedServer, match=r"11\.8.*MariaDB.* which lacks .*MySQL 9"):
        lookalike.connect(mariadb.url)


def test_a_lost_connection_is_told(db):
    (thread,) = db.rows("SELECT CONNECTION_ID()")[1][0]
    with db.session():
        assert db.rows("SELECT CONNECTION_ID()")[1] == [(thread,)]
        with pytest.raises(DatabaseError):
            db.rows(f"KILL {thread}")
        with pytest.raises(ConnectionFailed, match="cannot reach"):
            db.rows("SELECT 1")
    assert db.rows("SELECT 1")[1] == [(1,)]


def test_a_statement_that_fails_rolls_its_transaction_back(db):
    db.rows("CREATE TABLE t (a INT)")
    with pytest.raises(InputError), db.connection.transaction():
        db.rows("INSERT INTO t VALUES (1)")
        raise InputError("no")
    assert db.rows("SELECT * FROM t")[1] == []


def test_an_interrupt_rolls_its_transaction_back(database_url, db):
    db.rows("CREATE TABLE t (a INT)")
    with (
        lookalike.connect(database_url) as other,
        pytest.raises(KeyboardInterrupt),
        other.connection.transaction(),
    ):
        other.rows("INSERT INTO t VALUES (1)")
        raise KeyboardInterrupt
    assert db.rows("SELECT * FROM t")[1] == []
