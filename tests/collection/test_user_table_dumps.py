"""Dumps of tables of the user's own, restored elsewhere."""

import subprocess

import pytest

import lookalike
from lookalike import DatabaseError, IndexSizes
from lookalike.server.mysqld import Tree
from tests.collection.user_tables import DIM, EVERYTHING, expected, insert, vectors_of

SIZES = IndexSizes(rows_for_cells=200)


@pytest.fixture
def program(installed_mysqld, server):
    """Run one of MySQL's programs on the tests' server, and return what it prints."""

    def run(name, *args, text=""):
        binary = installed_mysqld.parent.parent / "bin" / name
        tree = Tree.around(installed_mysqld)
        command = [*(tree.through_loader() if tree else []), binary]
        command += [f"--socket={server.socket}", "--user=root", *args]
        done = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run


@pytest.fixture
def elsewhere(db, database_url):
    """The URL of another empty database."""
    name = database_url.partition("?")[0].rpartition("/")[2]
    db.rows(f"CREATE DATABASE {name}_copy")
    yield database_url.replace(name, f"{name}_copy")
    db.rows(f"DROP DATABASE {name}_copy")


def fill(db, name="goods", key="INT"):
    db.rows(f"CREATE TABLE {name} (id {key} PRIMARY KEY, v VECTOR({DIM}))")
    rows = dict(enumerate(vectors_of(0, 300)))
    insert(db, name, rows.items())
    return rows


def keys(images, query):
    return [int(m.id if m.key is None else m.key) for m in images.search(query, **EVERYTHING)]


def database_of(url):
    return url.partition("?")[0].rpartition("/")[2]


@pytest.mark.parametrize("key", ["INT", "CHAR(9)"])
def test_a_dump_of_the_database_searches_elsewhere(db, database_url, elsewhere, program, key):
    rows = fill(db, key=key)
    goods = db.table("goods")
    db.rows("UPDATE goods SET v = %s WHERE id = 7", (vectors_of(1, 1)[0],))
    rows[7] = vectors_of(1, 1)[0]
    dump = program("mysqldump", "--hex-blob", "--single-transaction", database_of(database_url))
    goods.index.drop()
    program("mysql", database_of(elsewhere), text=dump)
    with lookalike.connect(elsewhere) as copy:
        restored = copy.table("goods")
        assert restored.index.status().pending == 1
        assert keys(restored, rows[3]) == expected(rows, rows[3])
        copy.rows("DELETE FROM goods WHERE id = 3")
        del rows[3]
        assert restored.index.status().pending == 2  # by the restored trigger
        restored.index.refresh()
        assert restored.index.check().is_consistent
        assert keys(restored, rows[4]) == expected(rows, rows[4])
    assert db.tables() == []


def test_a_dump_of_the_table_alone_accepts_writes(db, database_url, elsewhere, program):
    fill(db)
    db.table("goods")
    dump = program("mysqldump", "--hex-blob", database_of(database_url), "goods")
    program("mysql", database_of(elsewhere), text=dump)
    with lookalike.connect(elsewhere) as copy:
        copy.rows("INSERT INTO goods VALUES (1000, NULL)")
        copy.rows("UPDATE goods SET v = NULL")
        copy.rows("DELETE FROM goods WHERE id = 5")
        assert copy.rows("SELECT COUNT(*), COUNT(v) FROM goods")[1] == [(300, 0)]
        assert copy.table("goods").index.status().problems == ()  # a new index there, of its own


def test_a_trigger_whose_account_is_gone_refuses_writes_with_the_account(db, database_url):
    """As after a restore where that account is not: MySQL's own error names it."""
    fill(db)
    user = "u" + database_of(database_url)[-12:]
    db.rows(f"CREATE USER {user}@localhost IDENTIFIED BY 'secret'")
    db.rows(f"GRANT ALL ON {database_of(database_url)}.* TO {user}@localhost")
    with lookalike.connect(database_url.replace("root@", f"{user}:secret@")) as theirs:
        theirs.table("goods")
    db.rows(f"DROP USER {user}@localhost")
    with pytest.raises(DatabaseError, match=f"'{user}'@'localhost'\\) does not exist"):
        db.rows("DELETE FROM goods WHERE id = 1")
    db.drop_index("goods")
    db.rows("DELETE FROM goods WHERE id = 1")
