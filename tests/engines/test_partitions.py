"""A collection whose table OceanBase spreads by partitions, as seekdb does on one machine."""

import numpy as np
import pytest

import lookalike
from lookalike import IndexSizes
from tests.conftest import new_schema
from tests.oracle import similarities

ROWS, DIM, K = 2000, 16, 10


def plan_of(db, photos, query):
    statement = photos.search_sql(query, k=K)
    return "\n".join(row[0] for row in db.rows(f"EXPLAIN {statement.sql}", statement.params)[1])


def recall(photos, vectors, queries):
    found = 0
    for query in queries:
        best = np.argsort(-similarities(vectors, query, "cosine"))[:K] + 1
        found += len({match.id for match in photos.search(query, k=K)} & set(best.tolist()))
    return found / (K * len(queries))


@pytest.mark.nightly
def test_a_partitioned_collection_keeps_its_index_and_its_keys(seekdb):
    rng = np.random.default_rng(5)
    vectors, queries = rng.normal(size=(ROWS, DIM)), rng.normal(size=(20, DIM))
    names = [str(number) for number in range(ROWS)]
    sizes = IndexSizes(rows_for_cells=100)
    with new_schema(seekdb) as url, lookalike.connect(url, index_sizes=sizes) as db:
        photos = db.collection("photos", dim=DIM)
        photos.upsert(vectors, names=names, attributes=[{"n": n} for n in range(ROWS)])
        assert photos.index.build(kind="server")
        assert "VECTOR INDEX SCAN" in plan_of(db, photos, queries[0])
        db.rows("ALTER TABLE photos PARTITION BY KEY (id) PARTITIONS 4")
        plan = plan_of(db, photos, queries[0])
        assert "VECTOR INDEX SCAN" in plan and "PARTITION ITERATOR" in plan
        assert recall(photos, vectors, queries) > 0.99

        more = rng.normal(size=(300, DIM))
        photos.upsert(more, names=[f"new {number}" for number in range(300)])
        assert photos.remove_rows([1, 2, 3]) == 3
        kept = np.vstack([vectors, more])
        kept[:3] = -queries.mean(axis=0)  # in no result
        assert recall(photos, kept, queries) > 0.99
        (match,) = photos.search(vectors[10], k=1, where="n<100")
        assert match.id == 11
        assert photos.count() == ROWS + 297
