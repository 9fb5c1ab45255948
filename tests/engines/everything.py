"""A little of everything that a collection does, with names that need quoting."""

import numpy as np

from lookalike import Database, ValueCount
from tests.oracle import nearest

DIM = 8
NAMES = ["plain", "it's", 'a "b"', "back\\slash", "%s %d", "ümläut `", "new\nline", "100%", "a||b"]


def use_everything(db: Database) -> None:
    """Store, find, filter, count, take out, put back and drop."""
    vectors = np.random.default_rng(6).standard_normal((len(NAMES), DIM)).astype(np.float32)
    own = db.collection("own", dim=DIM)
    values = [{"label": name, "tags": [name, "x"], "n": i} for i, name in enumerate(NAMES)]
    own.upsert(vectors, names=NAMES, attributes=values)
    for place, name in enumerate(NAMES):
        assert own.search(name, k=1, exclude_self=False)[0].id == place + 1
        for where in ({"label": name}, {"tags": (":", name)}, {"image_name": name}):
            assert [item.id for item in own.browse(where=where)] == [place + 1]
    assert [match.id for match in own.search(vectors[3], k=9)] == nearest(vectors, vectors[3])
    assert own.count("n>=4") == 5
    assert own.attributes.counts("tags", limit=1) == [ValueCount("x", len(NAMES))]
    assert {each.name: each.kind for each in own.attributes.list()} == {
        "label": "text",
        "n": "number",
        "tags": "list",
    }
    own.duplicates.mark_distinct(2, 3)
    own.put_back(own.take_out(2, 3))
    assert own.duplicates.unmark_distinct(2, 3) == 1
    assert [item.image_name for item in own.browse(order_by="-n", k=2)] == NAMES[:-3:-1]
    own.attributes.drop("n")
    assert own.index.check().is_consistent
    assert db.rows(*own.search_sql(vectors[3], k=2))[1][0][0] == 4
    own.threshold.set(0.5)
    assert db.rename_collection("own", "neu").threshold.get() == 0.5
    assert [status.rows for status in db.status()] == [len(NAMES)]
    assert db.delete_collection("neu").rows == len(NAMES)
