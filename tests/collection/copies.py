"""Collections to copy, and what a database has of one, read by SQL of its own."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np

from lookalike import Collection, Database
from lookalike.dialects import Table

N, DIM = 230, 24
NAMES = ["a.jpg", '🦊 fox\'s "den".jpg', "back\\slash\n.jpg", "Café ", "CAFÉ", "", None, "x" * 255]
ATTRIBUTES: Sequence[dict[str, Any]] = [
    {"path": "3.jpg", "brand": "acme", "price": 7, "tags": ["é", "🦊"], "sale": True},
    {"path": "4.jpg", "price": 0.1, "brand": 'quo"te\\d'},
    {"path": "5.jpg", "price": 1e300, "note": "long " * 200},
    {"path": "6.jpg", "price": 2**53, "brand": "7"},
]
JSON_OF_OTHERS = (
    '{"b": [1.0, 1, -0.0, 1e2, null], "a": {"z": 18446744073709551615, "y": "\\u00e9"}}'
)

TABLES = {
    "": "id, image_name, {embedding}, attributes",
    "_files": "id, path, HEX(path_hash), HEX(content_hash), size, mtime_ns",
    "_facts": "id, HEX(content_hash), HEX(path_hash), has_location, facts",
    "_distinct": "id, other_id",
    "_failures": "path, HEX(path_hash), reason, size, mtime_ns, seen_at",
    "_phashes": "HEX(content_hash), width, height, HEX(phashes), HEX(thumbnail)",
}
SHARED = {
    "lookalike_collections": ("name", "model, dim, metric, created_at"),
    "lookalike_attributes": ("collection", "name, kind"),
    "lookalike_thresholds": ("collection", "min_similarity"),
    "lookalike_levels": ("collection", "kind, id_range, HEX(similarities)"),
}


def embeddings(seed: int = 1, n: int = N) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n, DIM)).astype(np.float32)


def fill(db: Database, name: str = "photos", metric: str = "cosine") -> Collection:
    """A collection with everything, written by SQL where no image is at hand."""
    made = db.collection(name, dim=DIM, metric=metric)
    made.add_embeddings([f"{i}.jpg" for i in range(N)], embeddings())
    made.attributes.set(ATTRIBUTES)
    made.threshold.set(-0.1 - 0.2)
    table, dialect = Table(name), db.dialect
    for statement in (
        dialect.create_facts(table, "INT"),
        dialect.create_distinct(table, "INT"),
        dialect.create_phashes(table),
    ):
        db.rows(*statement)
    for row_id, image_name in enumerate(NAMES, 20):
        db.rows(f"UPDATE {name} SET image_name = %s WHERE id = %s", (image_name, row_id))
    db.rows(f"UPDATE {name} SET attributes = %s WHERE id = 40", (JSON_OF_OTHERS,))
    db.rows(f"DELETE FROM {name} WHERE id IN (7, 230)")
    for row_id in range(10, 60):
        content = bytes([row_id]) * 32
        path = f"/pictures/{row_id} 🦊'\"\\ .jpg"
        db.rows(
            f"INSERT INTO {name}_files (id, path, content_hash, size, mtime_ns) "
            "VALUES (%s, %s, %s, %s, %s)",
            (row_id, path, content, 2**63 + row_id, -(2**62) + row_id),
        )
        facts = json.dumps({"camera": "É", "width": row_id, "latitude": 0.1 * row_id})
        db.rows(
            f"INSERT INTO {name}_facts VALUES (%s, %s, %s, %s, %s)",
            (row_id, content, content[::-1], row_id % 2, facts),
        )
        picture = np.random.default_rng(row_id).bytes(3000)
        db.rows(
            f"INSERT INTO {name}_phashes VALUES (%s, 3, 4, %s, %s)",
            (content, picture[:64], picture),
        )
        db.rows(f"INSERT INTO {name}_distinct VALUES (%s, %s)", (row_id, 100 + row_id % 7))
        size = None if row_id % 2 else row_id
        db.rows(
            f"INSERT INTO {name}_failures (path, reason, size, mtime_ns, seen_at) "
            "VALUES (%s, 'no \\'image\\'', %s, %s, '2020-02-29 12:34:56')",
            (f"{path}.broken", size, size),
        )
    made.search(1)  # measures the levels
    return made


def contents(db: Database, name: str = "photos") -> dict[str, list[Any]]:
    """All that the database has of a collection but its index, with JSON as values."""
    there = {row[0] for row in db.rows("SHOW TABLES")[1]}
    found = {}
    for suffix, columns in TABLES.items():
        if f"{name}{suffix}" in there:
            columns = columns.format(embedding="HEX(embedding)")
            rows = db.rows(f"SELECT {columns} FROM {name}{suffix}")[1]
            found[suffix] = sorted((tuple(map(_value, row)) for row in rows), key=repr)
    for table, (key, columns) in SHARED.items():
        rows = db.rows(f"SELECT {columns} FROM {table} WHERE {key} = %s", (name,))[1]
        found[table] = sorted(rows, key=repr)
    return found


def stored_embeddings(db: Database, name: str = "photos") -> dict[int, np.ndarray]:
    rows = db.rows(f"SELECT id, HEX(embedding) FROM {name}")[1]
    return {row_id: np.frombuffer(bytes.fromhex(digits), "<f4") for row_id, digits in rows}


def _value(value: Any) -> Any:
    is_json = isinstance(value, str) and value.startswith("{")
    return repr(json.loads(value, object_hook=lambda it: sorted(it.items()))) if is_json else value
