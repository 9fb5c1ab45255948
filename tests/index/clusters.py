"""Collections of clustered vectors, and what is true of them."""

import numpy as np

from lookalike import IndexSizes
from tests.oracle import similarities

DIM = 64
N = 3000
SMALL = IndexSizes(fewest_rows=50, rows_for_cells=200)


def clustered(n, dim=DIM, seed=0, spread=0.5):
    """Clusters around a common mean, as embeddings have."""
    rng = np.random.default_rng(seed)
    subjects = rng.standard_normal((40, dim))
    rows = subjects[rng.integers(0, 40, n)] + spread * rng.standard_normal((n, dim))
    return (rows + 2 * rng.standard_normal(dim)).astype(np.float32)


def recall(collection, vectors, queries, metric="cosine", k=10, **options):
    hits = 0
    for query in queries:
        scores = similarities(vectors, query, metric)
        kth = np.sort(scores)[-k]
        found = [match.id - 1 for match in collection.search(query, k=k, **options)]
        hits += np.sum(scores[found] >= kth - 1e-3 * abs(kth))
    return hits / (k * len(queries))


def names(n):
    return [f"v{i}" for i in range(n)]


def plan(collection, query, **options):
    return collection.explain(query, **options).plan


def index_tables(db):
    found = db.rows("SHOW TABLES")[1]
    return sorted(name for (name,) in found if "_codes_" in name or "_cells_" in name)


def url_of(db):
    url = db.connection.url
    return f"mysql://root@localhost/{url.database}?unix_socket={url.options['unix_socket']}"
