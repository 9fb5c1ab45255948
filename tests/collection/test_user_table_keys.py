"""Tables of the user's own whose keys are no integers, or larger than 2^63."""

import datetime
import decimal
import uuid

import numpy as np
import pytest

import lookalike
from lookalike import IndexSizes
from tests.collection.user_tables import DIM, EVERYTHING, expected, insert, names_of, vectors_of

N = 300


@pytest.fixture
def index_sizes():
    return IndexSizes(rows_for_cells=200)


def skus(n):
    return [f"SKU-{i:05}é" for i in range(n)]


def uuids(n):
    return [uuid.uuid5(uuid.NAMESPACE_DNS, str(i)).bytes for i in range(n)]


def days(n):
    return [datetime.date(2020, 1, 1) + datetime.timedelta(days=i) for i in range(n)]


def make(db, key_type, keys):
    db.rows(
        f"CREATE TABLE goods (k {key_type} PRIMARY KEY, title VARCHAR(99), price INT, "
        f"v VECTOR({DIM})) CHARACTER SET latin1"
    )
    rows = dict(zip(keys, vectors_of(0, len(keys)), strict=True))
    insert(db, "goods", [(key, f"g{n}", n, vector) for n, (key, vector) in enumerate(rows.items())])
    return rows


def keys_found(images, query, **options):
    return [match.key for match in images.search(query, **(EVERYTHING | options))]


@pytest.mark.parametrize(
    "key_type, keys",
    [
        ("CHAR(36)", skus),
        ("VARCHAR(99) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", skus),
        ("BINARY(16)", uuids),
        ("DATE", days),
        ("DECIMAL(20,2)", lambda n: [decimal.Decimal(i) / 4 for i in range(n)]),
    ],
    ids=["char", "varchar", "uuid", "date", "decimal"],
)
def test_a_key_of_another_kind_is_mapped(db, database_url, key_type, keys):
    keys = keys(N + 1)
    rows = make(db, key_type, keys[:N])
    goods = db.table("goods", name="title")
    assert goods.explain(vectors_of(0, 1)[0]).plan == "cells and codes"
    query = vectors_of(1, 1)[0]
    assert keys_found(goods, query) == expected(rows, query)
    with lookalike.connect(database_url) as other, other.session():
        other.rows("START TRANSACTION")
        other.rows("INSERT INTO goods VALUES (%s, 'new', 1, %s)", (keys[N], query))
        other.rows("UPDATE goods SET v = %s WHERE k = %s", (query * 2, keys[7]))
        other.rows("DELETE FROM goods WHERE k = %s", (keys[9],))
        assert keys_found(goods, query) == expected(rows, query)
        other.rows("COMMIT")
    rows |= {keys[N]: query, keys[7]: query * 2}
    del rows[keys[9]]
    for _ in range(2):
        found = keys_found(goods, query, k=20)
        assert set(found[:2]) == {keys[N], keys[7]}  # equals: in the order of their numbers
        assert found[2:] == expected(rows, query, k=20)[2:]
        assert goods.index.refresh().pending == 0
    assert goods.index.check().is_consistent
    cheap = {key: rows[key] for key in keys[:100] if key in rows and key != keys[7]}
    assert keys_found(goods, -query, where="price<100", k=99)[:50] == expected(cheap, -query, 50)
    goods.index.drop()
    assert names_of(db) == set()


def test_a_key_that_comes_back_has_its_number_again(db):
    keys = skus(N)
    rows = make(db, "CHAR(36)", keys)
    goods = db.table("goods")
    assert goods.search(keys[3], k=1, exclude_self=False)[0].image_name == keys[3]
    for _ in range(3):
        db.rows("DELETE FROM goods WHERE k = %s", (keys[3],))
        db.rows("REPLACE INTO goods VALUES (%s, '', 1, %s)", (keys[3], vectors_of(5, 1)[0]))
        rows[keys[3]] = vectors_of(5, 1)[0]
        assert keys_found(goods, rows[keys[3]], k=1) == [keys[3]]
        goods.index.refresh()
    db.rows("UPDATE goods SET k = 'other' WHERE k = %s", (keys[3],))
    assert keys_found(goods, rows[keys[3]], k=1) == ["other"]
    goods.index.refresh()
    assert keys_found(goods, rows[keys[3]], k=1) == ["other"]
    report = goods.index.check()
    assert report.is_consistent and report.codes == N


def test_integers_above_2_63_are_mapped_and_found_as_they_are(db):
    keys = [2**64 - 1 - i for i in range(N)]
    rows = make(db, "BIGINT UNSIGNED", keys)
    goods = db.table("goods")
    query = vectors_of(1, 1)[0]
    found = goods.search(query, **EVERYTHING)
    assert [match.id for match in found] == expected(rows, query)
    nearest = goods.search(keys[5], k=1, exclude_self=False)[0]
    assert nearest.id == keys[5] and nearest.similarity == pytest.approx(1)
    assert keys[5] not in [match.id for match in goods.search(keys[5], k=N)]


def test_the_first_integer_above_2_63_is_told(db):
    make(db, "BIGINT UNSIGNED", list(range(N)))
    db.table("goods")
    db.rows("INSERT INTO goods VALUES (%s, '', 1, NULL)", (2**63,))
    with pytest.raises(lookalike.InputError, match="2.63 or more now: run lookalike index drop go"):
        db.table("goods")
    db.drop_index("goods")
    assert db.table("goods").index.status().indexed == N


def test_without_triggers_a_refresh_numbers_new_keys(db):
    keys = skus(N + 1)
    rows = make(db, "CHAR(36)", keys[:N])
    goods = db.table("goods")
    for event in ("insert", "update", "delete"):
        db.rows(f"DROP TRIGGER lookalike_1_{event}")
    db.rows("UPDATE lookalike_tables SET kept = 'tail'")
    goods = db.collection("goods")
    query = np.array(vectors_of(1, 1)[0])
    db.rows("INSERT INTO goods VALUES (%s, '', 1, %s)", (keys[N], query))
    db.rows("DELETE FROM goods WHERE k = %s", (keys[9],))
    rows[keys[N]] = query
    del rows[keys[9]]
    goods.index.refresh()
    assert keys_found(goods, query) == expected(rows, query)
    assert goods.index.check().is_consistent
