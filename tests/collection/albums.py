"""Collections that have everything that one can have."""

from collections.abc import Callable

import numpy as np

from lookalike import Collection, Database
from lookalike.dialects import SHARED_TABLES
from tests.oracle import similarities

N, DIM = 230, 16

DIE = """
import os, signal, sys
from lookalike import connect

def call(steps, url, method, *names):
    left = int(steps)

    def note(statement):
        nonlocal left
        if statement.sql.startswith(("DROP", "DELETE", "INSERT", "RENAME", "ALTER")):
            if not left:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1

    getattr(connect(url, tracer=note), method)(*names)

for line in sys.stdin:
    child = os.fork()
    if child == 0:
        try:
            call(*line.split())
            os._exit(0)
        finally:
            os._exit(1)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
"""Makes each call that it is told in a process that dies before its change number `steps`."""

Killed = Callable[..., bool]


def embeddings(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(N, DIM)).astype(np.float32)


def make(db: Database, name: str, seed: int = 1) -> Collection:
    """A collection that has everything that one can have."""
    made = db.collection(name, dim=DIM)
    made.add_embeddings([f"{name} {i}" for i in range(N)], embeddings(seed))
    made.duplicates.mark_distinct(1, 2)
    made.duplicates.find(min_similarity=0.95)
    made.attributes.set([{"path": f"{name} 3", "brand": "acme"}])
    made.attributes.index("brand")
    made.threshold.set(0.75)
    made.search(1)  # measures levels
    db.rows("INSERT IGNORE INTO lookalike_index_changes VALUES (%s, 7)", (name,))
    db.rows("INSERT IGNORE INTO lookalike_runs (collection) VALUES (%s)", (name,))
    return made


def everything(db: Database) -> dict[str, tuple[str, list[str]]]:
    """Every table with its rows, definition included."""
    found = {}
    for (name,) in db.rows("SHOW TABLES")[1]:
        sql = db.rows(f"SHOW CREATE TABLE {name}")[1][0][1].split(" AUTO_INCREMENT=")[0]
        found[name] = sql, sorted(map(repr, db.rows(f"SELECT * FROM {name}")[1]))
    return found


def of_others(
    before: dict[str, tuple[str, list[str]]], name: str
) -> dict[str, tuple[str, list[str]]]:
    """What has to be left of all tables when this collection has gone."""
    own = {name, *(f"{name}{end}" for end in ("_files", "_failures", "_phashes", "_distinct"))}
    own |= {f"{name}_cells_1", f"{name}_codes_1"}
    assert own <= set(before), own - set(before)
    return {
        table: (sql, [row for row in rows if not row.startswith(f"('{name}'")])
        if table in SHARED_TABLES
        else (sql, rows)
        for table, (sql, rows) in before.items()
        if table not in own
    }


def assert_works(db: Database, name: str, seed: int = 1) -> None:
    """Searching, adding, checking, training: all as it should be."""
    collection, stored = db.collection(name), embeddings(seed)
    expected = np.argsort(-similarities(stored, stored[5]), kind="stable")[:5] + 1
    assert [match.id for match in collection.search(stored[5], k=5)] == expected.tolist()
    assert collection.status().indexed == N
    assert collection.index.check().is_consistent
    assert collection.threshold.get() == 0.75
    assert [m.image_name[-2:] for m in collection.search(1, where={"brand": "acme"})] == [" 3"]
    assert collection.duplicates.unmark_distinct(1, 2) == 1
    collection.add_embeddings(["new"], stored[:1] + 1)
    assert collection.index.build()
    assert collection.index.check().is_consistent
    assert collection.index.check().codes == N + 1
    left = {row[0] for row in db.rows(f"SHOW TABLES LIKE '{name}\\_c%'")[1]}
    assert {f"{name}_cells_2", f"{name}_codes_2"} <= left
    assert not left & {f"{name}_cells_1", f"{name}_codes_1"}


OWN = "id INT PRIMARY KEY AUTO_INCREMENT, image_name VARCHAR(9), embedding VECTOR(16)"
