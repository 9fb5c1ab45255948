"""Tables of a user's own for tests, and what numpy finds in them."""

import numpy as np

from tests.oracle import similarities

DIM = 16
EVERYTHING = {"n_probes": 10_000, "oversampling": 1000}
"""Options of a search that compares all rows of the index exactly."""


def vectors_of(seed, n):
    return np.random.default_rng(seed).normal(size=(n, DIM)).astype(np.float32)


def insert(db, table, rows):
    """Insert rows, tuples of values, by one statement."""
    rows = list(rows)
    marks = ", ".join([f"({', '.join(['%s'] * len(rows[0]))})"] * len(rows))
    db.rows(f"INSERT INTO {table} VALUES {marks}", [value for row in rows for value in row])


def expected(rows, query, k=10, metric="cosine"):
    """Return the keys of the k nearest rows, best first, ties by key."""
    keys = list(rows)
    scores = similarities(np.array(list(rows.values())).reshape(-1, DIM), query, metric)
    order = sorted(range(len(keys)), key=lambda place: (-scores[place], keys[place]))[:k]
    return [keys[place] for place in order]


def found(images, query, **options):
    return [match.id for match in images.search(query, **(EVERYTHING | options))]


def names_of(db):
    """Everything that lookalike has made for the first table: tables, views and triggers."""
    triggers = (
        "SELECT trigger_name FROM information_schema.triggers "
        "WHERE trigger_schema LIKE CONCAT(DATABASE(), '%')"
    )
    names = db.rows("SHOW TABLES")[1] + db.rows(triggers)[1]
    return {row[0] for row in names if row[0].startswith("lookalike_1_")}
