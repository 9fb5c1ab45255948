"""What a call of the SQL functions costs, beside the article's own: `make bench`.

Both are measured in one run, in turn, on the same rows of the private MySQL.
"""

import statistics
import time

import numpy as np

import lookalike
from benchmarks import article
from lookalike import Database

DIM = 512
ROWS = 300
REPEATS = 5
CALLS = (
    "my_dot_product(embedding, @target)",
    "my_vec_norm(embedding)",
    "DISTANCE(embedding, @target, 'COSINE')",
)
CALL = """CALL sys.ML_SIMILARITY_SEARCH(
    CAST(@target AS BINARY), '["lookalike_bench.image_embeddings"]',
    '{"segment_embedding": "embedding"}', 10, %s, NULL, NULL, NULL,
    @context, @context_map, @retrieval_info)"""
METRICS = ("COSINE", "EUCLIDEAN", "DOT")


def milliseconds_per_call(db: Database, call: str) -> float:
    """The median of several scans over all rows, in milliseconds a row."""
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        db.rows(f"SELECT {call} FROM image_embeddings")
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds) / ROWS * 1000


def milliseconds_per_row(db: Database, metric: str) -> float:
    """The median of several calls of ML_SIMILARITY_SEARCH over all rows, in milliseconds a row."""
    seconds = []
    for _ in range(REPEATS):
        start = time.perf_counter()
        db.rows(CALL, (metric,))
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds) / ROWS * 1000


def main() -> None:
    embeddings = np.random.default_rng(0).standard_normal((ROWS, DIM)).astype(np.float32)
    with lookalike.connect() as db, db.session():
        db.rows("CREATE DATABASE IF NOT EXISTS lookalike_bench")
        db.rows("USE lookalike_bench")
        article.create_table(db, embeddings)
        db.rows("SET @target = (SELECT embedding FROM image_embeddings WHERE id = 1)")
        article.create_functions(db)
        theirs = {call: milliseconds_per_call(db, call) for call in CALLS[:2]}
        db.install_functions()
        ours = {call: milliseconds_per_call(db, call) for call in CALLS}
        db.install_mysql_ai()
        rows = {metric: milliseconds_per_row(db, metric) for metric in METRICS}
        db.rows("DROP PROCEDURE sys.ML_SIMILARITY_SEARCH")
        db.rows("DROP DATABASE lookalike_bench")
    print(f"ms a call, {DIM} dims, {ROWS} rows, median of {REPEATS}\n")
    print("| call | the article's | lookalike's | times |")
    print("|---|---|---|---|")
    for call, cost in ours.items():
        old = theirs.get(call)
        ratio = f"{old / cost:.1f}" if old else ""
        print(f"| `{call}` | {f'{old:.2f}' if old else 'none'} | {cost:.3f} | {ratio} |")
    print("\nsys.ML_SIMILARITY_SEARCH, ms a row: ", end="")
    print(", ".join(f"{metric} {cost:.3f}" for metric, cost in rows.items()))


if __name__ == "__main__":
    main()
