"""A shop's products, whose attributes are known here and in the database."""

import numpy as np

DIM = 32
N = 8000


def shapes(n, seed=0):
    """Rows in 20 clusters, and which cluster each is in."""
    rng = np.random.default_rng(seed)
    subjects = np.random.default_rng(99).standard_normal((20, DIM))
    cluster = rng.integers(0, 20, n)
    rows = subjects[cluster] + 0.6 * rng.standard_normal((n, DIM)) + 1
    return rows.astype(np.float32), cluster


def products(n, cluster, seed=0):
    """Attributes by chance (rank: from 0 to 10,000, price, tags) and by what is shown (kind)."""
    rng = np.random.default_rng(seed + 1)
    ranks = rng.permutation(n) * 10_000 / n
    return [
        {
            "rank": float(rank),
            "price": round(float(price), 2),
            "kind": f"kind {kind}",
            "code": f"{i % 50:03d}",
            "sale": bool(rank < 5000),
            "tags": ["summer", "new"] if rank < 100 else ["new"],
            **({"note": f"Item {i}, 100% 'fine'"} if i % 7 == 0 else {}),
        }
        for i, (rank, price, kind) in enumerate(
            zip(ranks, rng.gamma(2, 30, n), cluster, strict=True)
        )
    ]


def cosines(vectors, query):
    exact, q = vectors.astype(np.float64), query.astype(np.float64)
    return exact @ q / (np.linalg.norm(exact, axis=1) * np.linalg.norm(q))


class Shop:
    """A collection, and beside it what it holds."""

    def __init__(self, collection, n=N):
        self.collection = collection
        self.vectors, self.cluster = shapes(n)
        self.rows = products(n, self.cluster)
        names = [f"v{i}" for i in range(n)]
        self.ids = np.array(collection.add_embeddings(names, self.vectors))
        for row, name in zip(self.rows, names, strict=True):
            row["path"] = name

    def store(self):
        return self.collection.attributes.set(self.rows)

    def recall(self, queries, where, passes, k=10, **options):
        """The share of true neighbours that are found; the number of results is always right."""
        passing = np.array([passes(row) for row in self.rows])
        hits = wanted = 0
        for query in queries:
            scores = cosines(self.vectors[passing], query)
            kth = np.sort(scores)[::-1][: min(k, len(scores))]
            found = self.collection.search(query, k=k, where=where, **options)
            positions = np.searchsorted(self.ids, [match.id for match in found])
            assert len(found) == len(kth) == len(set(positions))
            assert passing[positions].all()
            hits += (
                np.sum(cosines(self.vectors[positions], query) >= kth[-1] - 1e-3) if found else 0
            )
            wanted += len(kth)
        return hits / max(wanted, 1)

    def plan(self, query, where, **options):
        return self.collection.explain(query, where=where, **options).plan


QUERIES = shapes(25, seed=5)[0]
ANY = np.array([1, 1], np.float32)
"""A query of collections of two dims."""


def url_of(db):
    url = db.connection.url
    return f"mysql://root@localhost/{url.database}?unix_socket={url.options['unix_socket']}"
