"""What cannot be copied is refused in one line, and nothing is touched."""

import numpy as np
import pytest

import lookalike
from lookalike import InputError
from tests.collection.copies import DIM, contents, embeddings, fill
from tests.conftest import new_database

OWN = "id INT PRIMARY KEY AUTO_INCREMENT, image_name VARCHAR({}), embedding VECTOR(2)"


@pytest.fixture
def other(server):
    """Another database on MySQL."""
    with new_database(server) as url, lookalike.connect(url) as database:
        yield database


@pytest.fixture
def maria(mariadb):
    """A new database on MariaDB."""
    with new_database(mariadb) as url, lookalike.connect(url) as database:
        yield database


def refused(source, target, name="photos"):
    """The error of a copy, after which the target has nothing new."""
    tables = target.rows("SHOW TABLES")[1]
    with pytest.raises(lookalike.LookalikeError) as error:
        source.copy_collection(name, target)
    assert target.rows("SHOW TABLES")[1] == tables
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.slow
def test_another_collection_of_that_name_is_never_touched(db, other):
    fill(db)
    mine = other.collection("photos", dim=DIM)
    mine.add_embeddings(["mine"], embeddings()[:1])
    mine.attributes.set([{"path": "mine", "brand": "acme"}])
    before = contents(other)
    assert "has a collection 'photos' already, with other " in refused(db, other)
    assert contents(other) == before
    other.rename_collection("photos", "mine")
    db.copy_collection("photos", other)
    for change in (
        "UPDATE photos_phashes SET width = 9 LIMIT 1",
        "DELETE FROM photos_failures LIMIT 1",
        "DELETE FROM photos_distinct LIMIT 1",
        "UPDATE photos SET image_name = 'x' WHERE id = 200",
        "UPDATE lookalike_thresholds SET min_similarity = 0.9",
    ):
        assert db.copy_collection("photos", other, dry_run=True).state == "equal"
        other.rows(change)
        before = contents(other)
        assert "with other " in refused(db, other)
        assert contents(other) == before
        other.delete_collection("photos")
        db.copy_collection("photos", other)


@pytest.mark.slow
def test_an_unfinished_copy_of_another_collection_is_not_gone_on_with(db, other):
    fill(db)
    db.copy_collection("photos", other)
    other.rows("ALTER TABLE photos COMMENT = 'lookalike: unfinished copy of photos in h:1/x'")
    assert "is an unfinished copy of photos in h:1/x, not of photos in " in refused(db, other)
    assert "is itself an unfinished copy" in refused(other, db)
    mark = f"lookalike: unfinished copy of photos in {db.connection.url.place}"
    other.rows("ALTER TABLE photos COMMENT = %s", (mark,))
    db.delete_collection("photos")
    db.collection("photos", dim=3).add_embeddings(["a"], [[1, 2, 3]])
    assert "was made again since" in refused(db, other)
    other.delete_collection("photos")
    assert db.copy_collection("photos", other).rows == 1


def test_an_unfinished_copy_can_be_renamed_and_deleted(db, other):
    fill(db)
    db.copy_collection("photos", other)
    mark = f"lookalike: unfinished copy of photos in {db.connection.url.place}"
    other.rows("ALTER TABLE photos COMMENT = %s", (mark,))
    renamed = other.rename_collection("photos", "pics")
    assert renamed.status().copy_of == f"photos in {db.connection.url.place}"
    other.delete_collection("pics")
    assert other.collections() == []


def test_tables_of_the_users_own_are_not_copied(db, other):
    db.rows(f"CREATE TABLE shoes ({OWN.format(9)})")
    db.table("shoes", alias="products")
    assert "'products' is a table of your own, and only collections" in refused(
        db, other, "products"
    )
    fill(db)
    db.rows("ALTER TABLE photos ADD stock INT, ADD `place of` VARCHAR(9)")
    assert "'photos' has columns of your own (place of, stock)" in refused(db, other)
    db.rows("CREATE VIEW seen AS SELECT id, image_name, embedding FROM photos")
    assert "'seen' is a view" in refused(db, other, "seen")
    db.rows("CREATE TABLE keyless (id INT, image_name VARCHAR(9), embedding VECTOR(2))")
    assert "id is not its PRIMARY KEY" in refused(db, other, "keyless")
    assert "there is no collection 'none'" in refused(db, other, "none")


def test_names_that_the_other_database_cannot_hold(db, other):
    db.rows(f"CREATE TABLE long_ ({OWN.format(700)})")
    db.rows("INSERT INTO long_ (image_name) VALUES (REPEAT('é', 256))")
    assert "an image_name of 'long_' has 256 characters" in refused(db, other, "long_")
    fill(db)
    other.rows("CREATE TABLE photos_phashes (id INT)")
    assert "a table 'photos_phashes' exists already in" in refused(db, other)
    other.rows("DROP TABLE photos_phashes")
    other.rows(f"CREATE TABLE p ({OWN.format(9)})")
    other.table("p", alias="photos")
    assert "with other rows (it is a table of your own)" in refused(db, other)


def test_rows_without_an_embedding_are_copied_where_they_can_be(db, other, maria):
    fill(db)
    db.rows("UPDATE photos SET embedding = NULL WHERE id IN (3, 4)")
    assert "'photos' has rows without an embedding (2), which mariadb" in refused(db, maria)
    db.copy_collection("photos", other)
    assert contents(other) == contents(db)


@pytest.mark.slow
def test_embeddings_that_mariadb_cannot_hold(db, other, maria):
    most = maria.dialect.max_dim
    for dim in (most, most + 1):
        made = db.collection(f"d{dim}", dim=dim)
        made.add_embeddings(["a"], np.ones((1, dim)))
        made.attributes.set([{"path": "a", "brand": "b"}])
    db.copy_collection(f"d{most}", maria)
    assert maria.collection(f"d{most}").status().rows == 1
    why = refused(db, maria, f"d{most + 1}")
    assert "has 16,101 dimensions, and a collection in mariadb" in why
    db.rows(f"CREATE TABLE short ({OWN.format(9)})")
    db.rows("INSERT INTO short (embedding) VALUES (STRING_TO_VECTOR('[1]'))")
    with pytest.raises(lookalike.DatabaseError, match="cannot hold some images of 'short': "):
        db.copy_collection("short", maria)
    other.connection.max_packet = 70_000
    assert "too large for the server's max_allowed_packet" in refused(db, other, f"d{most}")


def test_the_source_is_only_read_by_an_account_that_may_do_no_more(db, other, database_url):
    fill(db)
    name, before = db.connection.url.database, contents(db)
    db.rows("CREATE USER IF NOT EXISTS reader@localhost IDENTIFIED BY 'r'")
    try:
        db.rows(f"GRANT SELECT ON {name}.* TO reader@localhost")
        socket = db.connection.url.options["unix_socket"]
        url = f"mysql://reader:r@localhost/{name}?unix_socket={socket}"
        with lookalike.connect(url) as reader:
            assert reader.copy_collection("photos", other, dry_run=True).is_dry_run
            assert other.rows("SHOW TABLES")[1] == []
            reader.copy_collection("photos", other)
            assert reader.copy_collection("photos", other).state == "equal"
    finally:
        db.rows("DROP USER reader@localhost")
    assert contents(other) == before == contents(db)


def test_only_a_database_is_copied_to(db):
    fill(db)
    with pytest.raises(InputError, match="to "):
        db.copy_collection("photos", "mysql://there")
