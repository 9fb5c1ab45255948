"""The index of a table whose columns have names of their own: one that lookalike did not make."""

import numpy as np
import pytest

from lookalike import InputError
from lookalike.attributes.catalog import filter_of, known_attributes
from lookalike.database.table import VectorTable
from lookalike.index.check import check_index
from lookalike.index.names import id_of
from lookalike.index.rows import delete_rows, embedding_of, insert_rows, records
from lookalike.index.store import IndexStore
from lookalike.index.training import train
from lookalike.search.options import Asked, SearchOptions
from lookalike.search.searcher import Searcher
from lookalike.search.trace import Trace

N, DIM, K = 600, 32, 10


@pytest.fixture
def items(db):
    """A table of products: its key, names and embeddings are called otherwise."""
    db.rows(
        "CREATE TABLE items (`the key` BIGINT UNSIGNED PRIMARY KEY AUTO_INCREMENT, price INT, "
        f"`order` VARCHAR(255), vec VECTOR({DIM})) ENGINE = InnoDB"
    )
    return VectorTable(
        *("items", "the key", "order", "vec"),
        connection=db.connection,
        dialect=db.dialect,
        dim=DIM,
        has_files=False,
    )


@pytest.fixture
def vectors():
    rng = np.random.default_rng(7)
    return rng.normal(size=(N, DIM)).astype(np.float32)


def nearest(vectors, ids, query):
    """The ids of the nearest by cosine, by numpy."""
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    scores = units.astype(np.float64) @ (query / np.linalg.norm(query))
    return [ids[place] for place in np.argsort(-scores)[:K]]


def found(store, query, **options):
    searcher = Searcher(store, filter_of(store.table, options.pop("where", None)))
    return searcher.search(Asked(query, SearchOptions(k=K, **options)), Trace()).matches


def test_rows_are_inserted_indexed_searched_and_deleted(db, items, vectors):
    store = IndexStore(items)
    with db.connection.transaction():
        ids = insert_rows(store, [f"item {i}" for i in range(N)], vectors)
    assert train(store) is not None
    store.advance_tail([])
    assert check_index(store).is_consistent and store.size()[0] == N
    for place in range(0, N, 100):
        matches = found(store, vectors[place], n_probes=10_000, oversampling=60)
        assert [match.id for match in matches] == nearest(vectors, ids, vectors[place])
        assert matches[0].image_name == f"item {place}"
    assert np.array_equal(embedding_of(items, ids[3]), vectors[3])
    assert id_of(items, "item 3") == ids[3]
    assert [record.image_name for record in records(items, ids[:2])] == ["item 0", "item 1"]
    assert delete_rows(store, ids[:200]) == 200
    assert check_index(store).is_consistent and store.size()[0] == N - 200
    matches = found(store, vectors[0], n_probes=10_000, oversampling=60)
    assert [match.id for match in matches] == nearest(vectors[200:], ids[200:], vectors[0])


def test_other_columns_are_attributes_and_filter(db, items, vectors):
    store = IndexStore(items)
    with db.connection.transaction():
        ids = insert_rows(store, [f"item {i}" for i in range(N)], vectors)
    db.rows("UPDATE items SET price = `the key`")
    assert [each.name for each in known_attributes(items)] == ["price"]
    assert train(store) is not None
    matches = found(store, vectors[0], where=["price>400"])
    assert [match.id for match in matches] == nearest(vectors[400:], ids[400:], vectors[0])
    matches = found(store, vectors[0], where="image_name=item 5 or price in (7)")
    assert {match.image_name for match in matches} == {"item 5", "item 6"}


def test_a_table_without_names(db, items, vectors):
    """Rows of others: their names are empty."""
    nameless = VectorTable(
        *("items", "the key", None, "vec"),
        connection=db.connection,
        dialect=db.dialect,
        dim=DIM,
        has_files=False,
    )
    for vector in vectors[:20]:
        db.rows("INSERT INTO items (vec) VALUES (%s)", (vector,))
    matches = found(IndexStore(nameless), vectors[4])
    assert matches[0].image_name == "" and matches[0].id == 5
    with pytest.raises(InputError, match="no attribute 'image_name'; it has order .text., price"):
        found(IndexStore(nameless), vectors[4], where="image_name=x")
