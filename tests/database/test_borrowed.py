"""Reading over connections that the program has opened."""

from contextlib import closing

import mysql.connector
import numpy as np
import pymysql
import pytest

import lookalike
from lookalike import ConnectionFailed, InputError, MissingTable
from lookalike.database.errors import ReadOnly
from lookalike.database.url import DatabaseURL

VECTORS = np.eye(3, dtype=np.float32)


def arguments(database_url):
    url = DatabaseURL.parse(database_url)
    return {"unix_socket": url.options["unix_socket"], "user": "root", "database": url.database}


@pytest.fixture(params=["pymysql", "mysql.connector"])
def raw(request, database_url):
    options = arguments(database_url)
    if request.param == "pymysql":
        connection = pymysql.connect(**options)
    else:
        connection = mysql.connector.connect(**options, use_pure=True)
    with closing(connection):
        yield connection


def test_searches_see_what_the_transaction_has_written(db, raw):
    shapes = db.collection("shapes", dim=3)
    shapes.upsert(VECTORS[:2])
    borrowed = lookalike.borrow(raw)
    with closing(raw.cursor()) as cursor, borrowed.over(raw):
        cursor.execute(
            "INSERT INTO shapes (image_name, embedding) VALUES ('new', STRING_TO_VECTOR('[0,0,1]'))"
        )
        found = borrowed.collection("shapes").search(VECTORS[2], k=1)
        assert [match.image_name for match in found] == ["new"]
        raw.rollback()
        assert len(borrowed.collection("shapes").search(VECTORS[2])) == 2
    assert shapes.count() == 2


def test_it_only_reads(db, raw):
    db.collection("shapes", dim=3).upsert(VECTORS)
    borrowed = lookalike.borrow(raw)
    with borrowed.over(raw):
        with pytest.raises(ReadOnly, match="over a connection of your own lookalike only reads"):
            borrowed.collection("shapes").remove(1)
        with pytest.raises(ReadOnly):
            borrowed.rows("DELETE FROM shapes")
        with pytest.raises(MissingTable):
            borrowed.rows("SELECT * FROM nothing")
        assert borrowed.collection("shapes").count() == 3
    borrowed.close()
    with closing(raw.cursor()) as cursor:  # it is open, and its session as it was
        cursor.execute("SELECT @@SESSION.sql_notes")
        assert [tuple(row) for row in cursor.fetchall()] == [(1,)]


def test_without_a_connection_it_says_how_to_lend_one(raw):
    borrowed = lookalike.borrow(raw)
    with pytest.raises(ConnectionFailed, match=r"write with db\.over\(connection\):"):
        borrowed.collections()


def test_a_connection_without_a_database_is_refused(database_url):
    options = arguments(database_url) | {"database": None}
    with (
        closing(pymysql.connect(**options)) as connection,
        pytest.raises(InputError, match="has chosen no database"),
    ):
        lookalike.borrow(connection)


def test_a_column_without_an_index(db, raw):
    db.rows("CREATE TABLE hats (id INT PRIMARY KEY, photo VECTOR(3))")
    borrowed = lookalike.borrow(raw)
    with borrowed.over(raw), pytest.raises(InputError, match=r"index create \w+\.hats\.photo"):
        borrowed.index_of("hats", "photo")
    raw.rollback()
    db.table("hats")
    with borrowed.over(raw):
        assert borrowed.index_of("hats", "photo").name == "hats"
        assert borrowed.index_named("hats").count() == 0
