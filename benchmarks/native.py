"""What the native functions gain: a scan of all rows, the index's estimate, rotation and planes.

Run `python -m benchmarks.native`. All of it is measured in one run, on the private MySQL in
benchmarks/.cache with a buffer pool that holds everything.
"""

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from benchmarks.server import LARGE_POOL, database, fill
from lookalike import Database
from lookalike.core.vectors import FloatArray, pack

N = 100_000
DIM = 512
REPEATS = 15
STORED_ROWS = 300  # the stored DISTANCE is slow
BITS = " + ".join(f"{2**j} * BIT_COUNT(code ^ @p{j})" for j in range(4))
SCANS = {
    "`SELECT COUNT(*)`": "SELECT COUNT(*) FROM scan",
    "`SELECT SUM(LENGTH(embedding))`, which reads every row": (
        "SELECT SUM(LENGTH(embedding)) FROM scan"
    ),
    **{
        f"`ORDER BY {name}(embedding, @q, '{metric}') LIMIT 10`": (
            f"SELECT id FROM scan ORDER BY {name}(embedding, @q, '{metric}') {order} LIMIT 10"
        )
        for name in ("lookalike_native_distance", "lookalike_native_distance_double")
        for metric, order in (("COSINE", ""), ("EUCLIDEAN", ""), ("DOT", "DESC"))
    },
    "four `BIT_COUNT`s of a code of 512 bits, `LIMIT 50`": (
        f"SELECT id FROM codes ORDER BY {BITS} LIMIT 50"
    ),
    "`lookalike_native_estimate(code, @planes)`, `LIMIT 50`": (
        "SELECT id FROM codes ORDER BY lookalike_native_estimate(code, @planes) LIMIT 50"
    ),
}
CALLS = (
    "lookalike_native_rotate(embedding, @signs)",
    "lookalike_native_planes(embedding, 4)",
    "lookalike_native_subtract(embedding, @q, 1)",
)


def milliseconds(db: Database, sql: str, repeats: int = REPEATS) -> float:
    """The median time of a statement, after a first one that warms up."""
    taken = []
    for _ in range(repeats + 1):
        start = time.perf_counter()
        db.rows(sql)
        taken.append((time.perf_counter() - start) * 1000)
    return statistics.median(taken[1:])


@contextmanager
def native(db: Database) -> Iterator[None]:
    """Install the native functions, and remove them again."""
    db.install_native_functions()
    try:
        yield
    finally:
        db.remove_native_functions()


def prepare(db: Database, base: FloatArray) -> None:
    """Make the tables and the variables that the statements use."""
    rng = np.random.default_rng(2)
    fill("scan", base)
    db.rows("CREATE TABLE codes (id INT PRIMARY KEY AUTO_INCREMENT, code BINARY(64))")
    for first in range(0, N, 10_000):
        codes = np.packbits(base[first : first + 10_000] > 0, axis=1)
        literals = ", ".join(f"(x'{code.tobytes().hex()}')" for code in codes)
        db.rows(f"INSERT INTO codes (code) VALUES {literals}")
    planes = [rng.bytes(64) for _ in range(4)]
    values = {"q": pack(base[7]), "planes": b"".join(planes), "signs": rng.bytes(64)}
    values |= {f"p{j}": plane for j, plane in enumerate(planes)}
    for name, value in values.items():
        db.rows(f"SET @{name} = %s", (value,))


def main() -> None:
    base = np.random.default_rng(1).standard_normal((N, DIM)).astype(np.float32)
    base /= np.linalg.norm(base, axis=1, keepdims=True)
    with database(LARGE_POOL) as db, native(db), db.session():
        prepare(db, base)
        found = [id for (id,) in db.rows(SCANS[list(SCANS)[2]])[1]]
        assert found == (np.argsort(-(base @ base[7]))[:10] + 1).tolist()
        print(f"{N:,} x {DIM}, medians of {REPEATS}\n\n| statement | ms |\n|---|---:|")
        for name, sql in SCANS.items():
            print(f"| {name} | {milliseconds(db, sql):.1f} |")
        print("\n| call | µs |\n|---|---:|")
        read = milliseconds(db, SCANS[list(SCANS)[1]])
        for call in CALLS:
            sql = f"SELECT SUM(LENGTH({call})) FROM scan"
            print(f"| `{call}` | {(milliseconds(db, sql) - read) / N * 1000:.2f} |")
        db.install_functions()
        sql = f"SELECT DISTANCE(embedding, @q, 'COSINE') FROM scan LIMIT {STORED_ROWS}"
        cost = milliseconds(db, sql, 5) / STORED_ROWS * 1000
        print(f"| the stored `DISTANCE(embedding, @q, 'COSINE')` | {cost:.0f} |")


if __name__ == "__main__":
    main()
