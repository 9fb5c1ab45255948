"""What the triggers on a table of one's own cost its writers: `python -m benchmarks.triggers`.

Two tables alike, one of them indexed. Rounds alternate, and each kind of write is timed in both;
medians of all rounds, in milliseconds a statement. Then how much a log that nobody has processed
costs a search.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass

import numpy as np

from benchmarks.server import STOCK_POOL, database
from lookalike import Collection, Database
from lookalike.core.vectors import FloatArray

TABLES = ("plain", "indexed")
PENDING = (0, 10, 100, 1000, 5000)
_CHUNK = 500


@dataclass(frozen=True)
class Cost:
    """Medians of one kind of write: milliseconds a statement without and with triggers.

    slower: the share by which triggers slow it, the median of the rounds' own: the two writes of a
    round meet the same load of the machine.
    """

    write: str
    plain: float
    indexed: float
    slower: float


def insert(db: Database, table: str, first: int, vectors: FloatArray) -> None:
    """Insert rows in one statement."""
    rows = ", ".join(["(%s, 1, %s)"] * len(vectors))
    values = [each for i, vector in enumerate(vectors) for each in (first + i, vector)]
    db.rows(f"INSERT INTO {table} (id, price, v) VALUES {rows}", tuple(values))


def make(db: Database, n: int, dim: int) -> Collection:
    """Fill both tables alike, and index one of them."""
    vectors = np.random.default_rng(0).normal(size=(n, dim)).astype(np.float32)
    for table in TABLES:
        db.rows(f"CREATE TABLE {table} (id INT PRIMARY KEY, price INT, v VECTOR({dim}))")
        for start in range(0, n, _CHUNK):
            insert(db, table, start, vectors[start : start + _CHUNK])
    return db.table("indexed")


def writes(n: int, dim: int) -> dict[str, Callable[[Database, str, int], None]]:
    """Return each kind of write, as a function of the database, the table and the round."""
    vectors = np.random.default_rng(1).normal(size=(100, dim)).astype(np.float32)

    def in_transaction(db: Database, table: str, round_: int) -> None:
        with db.session():
            db.rows("START TRANSACTION")
            for i in range(100):
                insert(db, table, 10 * n + 1000 * round_ + i, vectors[:1])
            db.rows("COMMIT")

    def row(round_: int) -> int:
        return (round_ * 7919) % n

    return {
        "INSERT of a row": lambda db, t, r: insert(db, t, 2 * n + r, vectors[:1]),
        "INSERT of 100 rows": lambda db, t, r: insert(db, t, 4 * n + 100 * r, vectors),
        "100 INSERTs in a transaction": in_transaction,
        "UPDATE of the vector": lambda db, t, r: _run(
            db, f"UPDATE {t} SET v = %s WHERE id = %s", vectors[r % 100], row(r)
        ),
        "UPDATE of a price": lambda db, t, r: _run(
            db, f"UPDATE {t} SET price = %s WHERE id = %s", 10 + r, row(r)
        ),
        "UPDATE of 100 to one vector": lambda db, t, r: _run(
            db, f"UPDATE {t} SET v = %s WHERE id BETWEEN %s AND %s", vectors[r % 100],
            row(r) // 100 * 100, row(r) // 100 * 100 + 99,
        ),
        "DELETE of a row": lambda db, t, r: _run(db, f"DELETE FROM {t} WHERE id = %s", 2 * n + r),
    }  # fmt: skip


def _run(db: Database, sql: str, *values: object) -> None:
    db.rows(sql, values)


def cost_of(db: Database, write: str, run: Callable[[Database, str, int], None], n: int) -> Cost:
    """Time a kind of write n times in each table."""
    taken: dict[str, list[float]] = {table: [] for table in TABLES}
    for round_ in range(n):
        for table in TABLES if round_ % 2 else reversed(TABLES):
            start = time.perf_counter()
            run(db, table, round_)
            taken[table].append(1000 * (time.perf_counter() - start))
    plain, indexed = (taken[table] for table in TABLES)
    slower = statistics.median(b / a - 1 for a, b in zip(plain, indexed, strict=True))
    return Cost(write, statistics.median(plain), statistics.median(indexed), slower)


def search_ms(images: Collection, queries: FloatArray) -> float:
    """Return the median time of a search."""
    taken = []
    for query in queries:
        start = time.perf_counter()
        images.search(query)
        taken.append(1000 * (time.perf_counter() - start))
    return statistics.median(taken)


def searches(db: Database, images: Collection, n: int, dim: int) -> dict[int, float]:
    """Return the time of a search by how many changes the log has."""
    queries = np.random.default_rng(2).normal(size=(100, dim)).astype(np.float32)
    found, logged = {}, 0
    images.index.refresh()
    for pending in PENDING:
        if pending > logged:
            db.rows(
                "UPDATE indexed SET v = %s WHERE id >= %s AND id < %s",
                (queries[0], logged, pending),
            )
            logged = pending
        found[pending] = search_ms(images, queries)
    return found


def report(costs: Sequence[Cost], by_pending: dict[int, float]) -> str:
    """Return both tables as text."""
    lines = [f"{'write':30} {'plain':>8} {'triggers':>9}   slower by"]
    lines += [f"{c.write:30} {c.plain:8.2f} {c.indexed:9.2f} {c.slower:9.0%}" for c in costs]
    lines += ["", "changes in the log   ms a search"]
    lines += [f"{pending:18,} {ms:13.2f}" for pending, ms in by_pending.items()]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--n", type=int, default=50_000, help="rows of each table")
    parser.add_argument("--dim", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    with database(STOCK_POOL) as db:
        images = make(db, args.n, args.dim)
        kinds = writes(args.n, args.dim)
        slow = {"100 INSERTs in a transaction", "UPDATE of 100 to one vector", "INSERT of 100 rows"}
        costs = [
            cost_of(db, name, run, args.rounds // 5 if name in slow else args.rounds)
            for name, run in kinds.items()
        ]
        by_pending = searches(db, images, args.n, args.dim)
    if args.json:
        print(json.dumps({"writes": [asdict(c) for c in costs], "searches": by_pending}))
    else:
        print(report(costs, by_pending))


if __name__ == "__main__":
    main()
