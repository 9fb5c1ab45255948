"""The index where others insert, commit, train or interrupt at the worst moment."""

import threading
from contextlib import closing

import numpy as np
import pytest

import lookalike
from lookalike.database.connection import Connection
from lookalike.dialects import Statement

DIM = 32
N = 300


@pytest.fixture
def vectors():
    return np.random.default_rng(3).standard_normal((N, DIM)).astype(np.float32)


@pytest.fixture
def others(db):
    """A connection of another program."""
    with closing(Connection(db.connection.url)) as connection:
        yield connection


class Interjection:
    """Calls something once, right before the first statement that contains some text."""

    def __init__(self, text, action) -> None:
        self._text, self._action = text, action
        self.happened = False

    def __call__(self, statement) -> None:
        if self._text in statement.sql and not self.happened:
            self.happened = True
            self._action()


def names(n, prefix="v"):
    return [f"{prefix}{i}" for i in range(n)]


def theirs(vector) -> Statement:
    return Statement("INSERT INTO own (image_name, embedding) VALUES ('theirs', %s)", (vector,))


def assert_found(collection, vector):
    assert collection.search(vector, k=1)[0].image_name == "theirs"
    assert collection.index.check().is_consistent


def test_a_row_that_is_committed_while_the_tail_advances_is_found(
    db, database_url, others, vectors
):
    db.collection("own", dim=DIM).add_embeddings(names(N), vectors)
    new = vectors[0] + vectors[1]
    commit = Interjection("lookalike_index_tails WHERE", lambda: others.execute(theirs(new)))
    with lookalike.connect(database_url, tracer=commit) as traced:
        own = traced.collection("own")
        own.add_embeddings(["ours"], vectors[2:3])
        assert commit.happened
        assert_found(own, new)
        own.add_embeddings(["again"], vectors[3:4])
        assert_found(own, new)


def test_a_row_that_is_not_committed_when_an_index_is_made_is_found(db, others, vectors):
    own = db.collection("own", dim=DIM)
    own.add_embeddings(names(N), vectors)
    new = vectors[0] + vectors[1]
    with others.transaction():
        others.execute(theirs(new))
        own.add_embeddings(["later"], vectors[2:3])
        assert own.index.build()
        assert own.search(vectors[2], k=1)[0].image_name in ("later", "v2")
    assert_found(own, new)
    own.add_embeddings(["last"], vectors[3:4])
    assert_found(own, new)
    assert own.index.check().codes == N + 3


@pytest.mark.parametrize("id_type", ["BIGINT", "INT UNSIGNED"])
def test_large_ids_are_indexed(db, vectors, id_type):
    db.rows(
        f"CREATE TABLE own (id {id_type} PRIMARY KEY AUTO_INCREMENT, image_name VARCHAR(255), "
        f"embedding VECTOR({DIM})) AUTO_INCREMENT = 2147483500"
    )
    own = db.collection("own", dim=DIM)
    own.add_embeddings(names(N), vectors)
    report = own.index.check()
    assert report.is_consistent and report.codes == N
    found = own.search(vectors[-1], k=1, exclude_self=False)
    assert found[0].image_name == f"v{N - 1}" and found[0].id == 2147483500 + N - 1


@pytest.mark.slow
def test_an_index_that_is_made_while_a_batch_is_written_holds_for_it(
    database_url, photos, embedded_model
):
    with lookalike.connect(database_url) as db:
        shop = db.collection("shop", model=embedded_model)
        rng = np.random.default_rng(0)
        shop.add_embeddings(names(N), rng.standard_normal((N, embedded_model.dim)))
        with lookalike.connect(database_url) as other:

            def build():
                # It waits for the batch, and gives up.
                with other.session(), pytest.raises(lookalike.DatabaseError):
                    other.rows("SET SESSION innodb_lock_wait_timeout = 1")
                    other.collection("shop").index.build()

            train = Interjection("INSERT INTO `shop` (image_name", build)
            with lookalike.connect(database_url, tracer=train) as traced:
                report = traced.collection("shop", model=embedded_model).add(photos)
            assert train.happened and report.added == 26
        assert shop.index.check().is_consistent


def test_a_table_of_few_embeddings_and_many_nulls_is_not_trained(db, vectors):
    db.rows(
        "CREATE TABLE own (id INT PRIMARY KEY AUTO_INCREMENT, image_name VARCHAR(255), "
        f"embedding VECTOR({DIM}))"
    )
    db.connection.execute(
        Statement("INSERT INTO own (image_name) VALUES " + ", ".join(["('none')"] * N))
    )
    own = db.collection("own", dim=DIM)
    own.add_embeddings(["one"], vectors[:1])
    assert own.explain(vectors[0], k=5).plan == "exact"
    own.add_embeddings(names(N), vectors)
    assert own.search(vectors[9], k=1)[0].image_name == "v9"
    assert own.index.check().is_consistent


@pytest.mark.parametrize(
    "statement", ["_cells_", "embedding IS NOT NULL", "INSERT IGNORE INTO `own_codes_2`"]
)
def test_an_interrupt_ends_a_training(database_url, vectors, statement):
    attempts = []

    def interrupt():
        if "codes" in statement and threading.current_thread() is not threading.main_thread():
            stop.happened = False  # only the main thread, which writes one half, is interrupted
            return
        attempts.append(1)
        traced.connection.close()  # as the driver does when it is interrupted
        raise KeyboardInterrupt

    with lookalike.connect(database_url) as db:
        db.collection("own", dim=DIM).add_embeddings(names(N), vectors)
    stop = Interjection(statement, interrupt)
    with lookalike.connect(database_url, tracer=stop) as traced:
        own = traced.collection("own")
        stop.happened = False
        with pytest.raises(KeyboardInterrupt):
            own.index.build()
    assert attempts == [1]
    with lookalike.connect(database_url) as db:
        own = db.collection("own")
        assert own.index.check().is_consistent and own.search(vectors[5], k=1)[0].id == 6
        assert own.index.build()  # nobody holds the lock
        assert own.index.check().is_consistent


def test_two_connections_are_enough_for_a_training(database_url, vectors):
    with lookalike.connect(database_url, pool_size=2, pool_timeout=0.2) as db:
        own = db.collection("own", dim=DIM)
        own.add_embeddings(names(N), vectors)
        assert own.index.build() and own.index.check().is_consistent


def test_a_row_that_goes_while_codes_are_mended_is_passed_over(db, database_url, others, vectors):
    own = db.collection("own", dim=DIM)
    ids = own.add_embeddings(names(N), vectors)
    own.remove_rows([ids[7]])
    others.execute(Statement("INSERT INTO own VALUES (%s, 'theirs', %s)", (ids[7], vectors[7])))
    delete = Statement("DELETE FROM own WHERE id = %s", (ids[7],))
    gone = Interjection("WHERE id IN (%s) FOR SHARE NOWAIT", lambda: others.execute(delete))
    with lookalike.connect(database_url, tracer=gone) as traced:
        traced.collection("own").add_embeddings(["more"], vectors[7:8])
    assert gone.happened
    assert own.index.check().is_consistent and own.index.check().codes == N


def test_attributes_are_never_given_to_another_row_that_took_the_id(
    db, database_url, others, vectors
):
    own = db.collection("own", dim=DIM)
    ids = own.add_embeddings(names(60), vectors[:60])

    def replace():
        others.execute(Statement("DELETE FROM own WHERE id = %s", (ids[3],)))
        others.execute(
            Statement(
                "INSERT INTO own (id, image_name, embedding) VALUES (%s, 'another', %s)",
                (ids[3], vectors[70]),
            )
        )

    column = Interjection("ADD COLUMN attributes", replace)
    with lookalike.connect(database_url, tracer=column) as traced:
        report = traced.collection("own").attributes.set(
            [{"path": "v3", "shelf": "a"}, {"path": "v4", "shelf": "b"}]
        )
    assert column.happened
    assert report.stored == 1 and report.unmatched and "v3" in report.unmatched[0]
    assert db.rows("SELECT id FROM own WHERE attributes IS NOT NULL")[1] == [(ids[4],)]


def test_an_add_does_not_wait_to_repair_what_others_hold(db, database_url, others, vectors):
    own = db.collection("own", dim=DIM)
    ids = own.add_embeddings(names(N), vectors)
    own.remove_rows([ids[7]])
    insert = "INSERT INTO own (id, image_name, embedding) VALUES (%s, 'theirs', %s)"
    others.execute(Statement(insert, (ids[7], vectors[7])))
    with lookalike.connect(database_url) as later:
        adding = later.collection("own")
        with others.transaction():
            others.query(Statement("SELECT id FROM own WHERE id = %s FOR UPDATE", (ids[7],)))
            adding.add_embeddings(["more"], vectors[7:8])
        assert own.index.check().missing == (ids[7],)
        adding.add_embeddings(["again"], vectors[8:9])
    assert own.index.check().is_consistent


def test_an_exact_search_tells_the_name_of_the_row_that_it_compared(
    db, database_url, others, vectors
):
    own = db.collection("own", dim=DIM)
    ids = own.add_embeddings(names(60), vectors[:60])

    def replace():
        others.execute(Statement("DELETE FROM own WHERE id = %s", (ids[3],)))
        insert = "INSERT INTO own (id, image_name, embedding) VALUES (%s, 'another', %s)"
        others.execute(Statement(insert, (ids[3], vectors[70])))

    looked_up = Interjection("SELECT id, image_name FROM `own` WHERE id IN", replace)
    with lookalike.connect(database_url, tracer=looked_up) as traced:
        found = traced.collection("own").search(vectors[3], k=60, exact=True)
    assert len(found) == 60 and found[0].image_name == "v3"
