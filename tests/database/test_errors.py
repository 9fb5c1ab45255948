"""The server's error numbers: which class each becomes, and that only one module knows them."""

import re
import subprocess
import sys
import tokenize
from contextlib import closing
from pathlib import Path

import pytest
from pymysql.constants import CR, ER

import lookalike
from lookalike import ConnectionFailed, DatabaseError
from lookalike.database.errors import (
    MYSQL,
    Busy,
    ConnectionLost,
    Deadlock,
    DuplicateColumn,
    DuplicateIndex,
    DuplicateKey,
    LockTimeout,
    LoginRefused,
    MissingTable,
    Privilege,
    UnknownDatabase,
    UnknownVariable,
    WouldWait,
)

SOURCES = Path(lookalike.__file__).parent


def test_only_one_module_knows_error_numbers():
    known = {str(number) for number in MYSQL if number}
    found = []
    for path in sorted(SOURCES.rglob("*.py")):
        if path == SOURCES / "database" / "errors.py":
            continue
        with path.open("rb") as file:
            tokens = list(tokenize.tokenize(file.readline))
        found += [
            f"{path}:{t.start[0]}"
            for t in tokens
            if t.type == tokenize.NUMBER and t.string in known
        ]
        if re.search(r"error\.code\s*(==|!=|in|not in)\b", path.read_text()):
            found.append(f"{path} compares a code")
    assert found == []


def test_numbers_are_those_of_the_driver():
    assert MYSQL[ER.NO_SUCH_TABLE] is MissingTable
    assert MYSQL[ER.DUP_ENTRY] is DuplicateKey
    assert MYSQL[ER.DUP_FIELDNAME] is DuplicateColumn
    assert MYSQL[ER.DUP_KEYNAME] is DuplicateIndex
    assert MYSQL[ER.LOCK_WAIT_TIMEOUT] is LockTimeout
    assert MYSQL[ER.LOCK_DEADLOCK] is Deadlock
    assert MYSQL[ER.SPECIFIC_ACCESS_DENIED_ERROR] is Privilege
    assert MYSQL[CR.CR_SERVER_GONE_ERROR] is MYSQL[CR.CR_SERVER_LOST] is ConnectionLost


@pytest.mark.parametrize(
    ("sql", "kind", "code"),
    [
        ("SELECT 1 FROM nowhere", MissingTable, 1146),
        ("INSERT INTO t VALUES (1)", DuplicateKey, 1062),
        ("ALTER TABLE t ADD COLUMN id INT", DuplicateColumn, 1060),
        ("ALTER TABLE t ADD UNIQUE KEY k (id), ADD KEY k (id)", DuplicateIndex, 1061),
        ("SELECT @@no_such_setting", UnknownVariable, 1193),
        ("SELEKT 1", DatabaseError, 1064),
    ],
)
def test_a_refused_statement_is_of_its_class(db, sql, kind, code):
    db.rows("CREATE TABLE t (id INT PRIMARY KEY)")
    db.rows("INSERT INTO t VALUES (1)")
    with pytest.raises(DatabaseError) as caught:
        db.rows(sql)
    assert type(caught.value) is kind and caught.value.code == code
    assert "\n" not in str(caught.value)


def test_locks_of_others_are_busy(db, database_url):
    db.rows("CREATE TABLE t (id INT PRIMARY KEY)")
    db.rows("INSERT INTO t VALUES (1)")
    with (
        lookalike.connect(database_url) as other,
        other.connection.transaction(),
    ):
        other.rows("SELECT * FROM t FOR UPDATE")
        with pytest.raises(WouldWait):
            db.rows("SELECT * FROM t FOR UPDATE NOWAIT")
        with (
            pytest.raises(LockTimeout, match="end that transaction"),
            db.connection.transaction(),
        ):
            db.rows("SET SESSION innodb_lock_wait_timeout = 1")
            db.rows("SELECT * FROM t FOR UPDATE")
    assert issubclass(WouldWait, Busy) and issubclass(LockTimeout, Busy)


def test_a_user_without_rights_is_told_so(db, database_url):
    db.rows("CREATE USER IF NOT EXISTS 'poor'@'localhost' IDENTIFIED BY 'poor'")
    name = db.connection.url.database
    db.rows(f"GRANT SELECT ON {name}.* TO 'poor'@'localhost'")
    try:
        as_poor = database_url.replace("root", "poor:poor", 1)
        with lookalike.connect(as_poor) as poor, pytest.raises(Privilege, match="GRANT it"):
            poor.rows("CREATE TABLE mine (id INT)")
        with pytest.raises(LoginRefused, match="check the user"):
            lookalike.connect(database_url.replace("root", "poor:wrong", 1))
    finally:
        db.rows("DROP USER 'poor'@'localhost'")


def test_what_cannot_be_reached_is_lost_and_what_is_missing_is_not(db, database_url):
    name = db.connection.url.database
    with pytest.raises(UnknownDatabase, match="CREATE DATABASE"):
        lookalike.connect(database_url.replace(name, "no_such_database"))
    with pytest.raises(ConnectionLost, match="is the server running"):
        lookalike.connect("mysql://root@127.0.0.1:1/lookalike")
    with (
        closing(lookalike.connect(database_url)) as other,
        pytest.raises(ConnectionLost),
        other.connection.transaction(),
    ):
        (number,) = other.rows("SELECT CONNECTION_ID()")[1][0]
        db.rows(f"KILL {number}")
        other.rows("SELECT 1")
    assert issubclass(ConnectionLost, ConnectionFailed)


def test_errors_are_known_where_the_driver_stands_for_mysqlclient():
    """Django imports its modules under another name; pymysql.err is then another module."""
    code = (
        "import pymysql; pymysql.install_as_MySQLdb(); import MySQLdb.converters; "
        "from lookalike.database.errors import translated; "
        "from lookalike.database.url import DatabaseURL; "
        "url = DatabaseURL.parse('mysql://root@localhost/shop'); "
        "print(type(translated(pymysql.MySQLError(1146, 'no table'), url)).__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "MissingTable\n"
