"""What large collections need: arithmetic from measured figures, and simulations that check it.

    python -m benchmarks.scaling

prints the tables of docs/scaling.md. Every constant is a figure of docs/benchmarks.md, measured on
two cores; what is computed from them for more images than were measured is an estimate.
"""

from collections.abc import Iterable
from math import ceil, sqrt

import numpy as np

from benchmarks.simulation import Latency, Stages, fan_out, ingest, quantiles, queue

SIZES = (1_000_000, 10_000_000, 100_000_000, 1_000_000_000)
DIM = 512
CORES = 2
"""Of the machine on which all of it was measured."""

ROW_BYTES = {512: 2364, 768: 4148, 1280: 8241}
"""A row of the collection's table on disk, name and key included: InnoDB's pages of 16 kB hold
7, 4 and 2 of them."""
INDEX_BYTES = 126
"""lookalike's index on disk, a vector of 512 dims."""
HELD_BYTES = 102
"""The same in memory; with float32 embeddings 4 bytes a number more."""
HNSW_BYTES = 1430
"""MariaDB's own index, a vector of 512 dims, M = 16: in memory as on disk."""

CODES_READ = 4669
"""Codes that a search reads at a million: n_probes cells of sqrt(n) / 4 rows."""
CODE_MS, CLIENT_MS, REST_MS = 0.001, 1.2, 0.5
"""By SQL: a code; choosing among the 4,000 cells of a million; what does not grow."""
HELD_MS, HELD_REST_MS = 1.3, 0.9
"""In memory: what grows, at a million; what does not, of which MySQL's statement takes .46."""
SQL_CORE_MS, HELD_CORE_MS = 2000 / 278, 2000 / 922
"""Time of a core for a search at a million: two cores busy with 4 clients, or 4 processes."""
TRAINING_SECONDS = 1.15e-10
"""Of two cores, for sqrt(n) * n * dim: 60.7 s at 1,000,000 x 512, 451 s at 10,000,000 x 128."""
EMBEDDED, CLIP = 84.8, 27.3
"""Images a second of two cores: the embedded model, and CLIP ViT-B/32 of 3 megapixels."""
SCAN, WRITE = 4823.0, 2243.0
"""Files a second that one process lists, and rows a second that one writer stores."""
HNSW_ROWS = 1700
"""Rows a second at which MariaDB makes its index, of 100,000 rows on two cores."""
HNSW = Latency(0.85, 7.8)
"""A search in a MariaDB of a million rows whose cache holds the index, ms."""
SQL = Latency(6.4, 15)

GIGA = 1e9
BUSY = 0.7
"""Share of its time that a core may be busy: at more, waiting grows quickly (see the queue)."""


def cells(n: int) -> int:
    """Return how many cells an index of n rows has."""
    return round(4 * sqrt(n))


def growth(n: int) -> float:
    """Return the rows of a cell, as a multiple of those at a million."""
    return sqrt(n / 1e6)


def sql_ms(n: int) -> float:
    """Estimate the median search by SQL."""
    return REST_MS + growth(n) * (CLIENT_MS + CODE_MS * CODES_READ)


def held_ms(n: int) -> float:
    """Estimate the median search by the index in memory."""
    return HELD_REST_MS + growth(n) * HELD_MS


def training_hours(n: int, dim: int = DIM, cores: int = CORES) -> float:
    """Estimate the time that training an index takes."""
    return TRAINING_SECONDS * n**1.5 * dim * CORES / cores / 3600


def embedding_hours(n: int, rate: float, cores: int = CORES) -> float:
    """Return the time that embedding takes; rate: images a second of two cores."""
    return n / (rate * cores / CORES) / 3600


def core_ms(n: int, at_a_million: float, ms: float, ms_at_a_million: float) -> float:
    """Estimate a search's time of a core: it grows as the search does."""
    return at_a_million * ms / ms_at_a_million


def nodes(rate: float, milliseconds: float, cores: int) -> int:
    """Return how many nodes answer `rate` searches a second without being busier than `BUSY`."""
    return ceil(rate * milliseconds / 1000 / (cores * BUSY))


def shown(value: float) -> str:
    """Return a number with at most three digits that say something."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def table(head: Iterable[str], rows: Iterable[tuple[str, Iterable[float]]]) -> str:
    """Return a Markdown table; each row is its name and numbers."""
    names = ["", *head]
    lines = ["| " + " | ".join(names) + " |", "|---|" + "---:|" * (len(names) - 1)]
    for name, values in rows:
        lines.append(f"| {name} | " + " | ".join(shown(value) for value in values) + " |")
    return "\n".join(lines)


def bytes_table() -> str:
    """What n images occupy."""
    per_vector = {
        "rows on disk, GB": ROW_BYTES[DIM],
        "lookalike's index on disk, GB": INDEX_BYTES,
        "the index in memory, GB": HELD_BYTES,
        "the index in memory with float32, GB": HELD_BYTES + 4 * DIM,
        "MariaDB's own index, on disk and in memory, GB": HNSW_BYTES,
    }
    rows = [(name, [n * size / GIGA for n in SIZES]) for name, size in per_vector.items()]
    return table(_titles(), rows)


def hours_table() -> str:
    """How long it takes to fill and to train, in hours."""
    return table(
        _titles(),
        [
            ("embedded model, 2 cores", [embedding_hours(n, EMBEDDED) for n in SIZES]),
            ("CLIP ViT-B/32, 2 cores", [embedding_hours(n, CLIP) for n in SIZES]),
            ("CLIP ViT-B/32, 256 cores", [embedding_hours(n, CLIP, 256) for n in SIZES]),
            ("one writer, at most", [n / WRITE / 3600 for n in SIZES]),
            ("training lookalike's index, 2 cores", [training_hours(n) for n in SIZES]),
            ("the same, 16 cores", [training_hours(n, cores=16) for n in SIZES]),
            ("making MariaDB's index, 2 cores", [n / HNSW_ROWS / 3600 for n in SIZES]),
        ],
    )


def search_table() -> str:
    """What a search costs."""
    sql = [core_ms(n, SQL_CORE_MS, sql_ms(n), sql_ms(SIZES[0])) for n in SIZES]
    held = [core_ms(n, HELD_CORE_MS, held_ms(n), held_ms(SIZES[0])) for n in SIZES]
    return table(
        _titles(),
        [
            ("cells", [cells(n) for n in SIZES]),
            ("codes that a search reads", [CODES_READ * growth(n) for n in SIZES]),
            ("p50 by SQL, ms", [sql_ms(n) for n in SIZES]),
            ("p50 in memory, ms", [held_ms(n) for n in SIZES]),
            ("core time by SQL, ms", sql),
            ("core time in memory, ms", held),
            ("core hours for a million searches by SQL", [ms / 3.6 for ms in sql]),
            ("core hours for a million searches in memory", [ms / 3.6 for ms in held]),
            ("nodes of 16 cores for 1,000/s by SQL", [nodes(1000, ms, 16) for ms in sql]),
            ("nodes of 16 cores for 1,000/s in memory", [nodes(1000, ms, 16) for ms in held]),
        ],
    )


def queue_table() -> str:
    """The tail of a queue of three nodes of two cores, by how busy they are."""
    rows = []
    for busy in (0.3, 0.5, 0.7, 0.8, 0.9):
        rng = np.random.default_rng(0)
        service = SQL.sample(200_000, rng)
        rate = busy * 3 * CORES * 1000 / float(service.mean())
        took = quantiles(queue(service, rate, 3, CORES, rng))
        rows.append((f"{busy:.0%} busy", [rate, took.p50, took.p99]))
    return table(["searches/s", "p50, ms", "p99, ms"], rows)


def shards_table() -> str:
    """A search of all shards waits for the slowest."""
    rows = []
    for shards in (1, 4, 16, 64):
        took = quantiles(fan_out(HNSW, shards, 0.05, 50_000, np.random.default_rng(0)))
        rows.append((f"{shards} shards", [took.p50, took.p99]))
    return table(["p50, ms", "p99, ms"], rows)


def ingest_rate(workers: int, embed: float) -> float:
    """Return the images a second by arithmetic: the slowest stage's."""
    return min(SCAN, workers * embed, WRITE)


def ingest_table() -> str:
    """Workers of two cores each, by arithmetic and simulated."""
    rows = []
    for workers in (1, 4, 16, 64, 256):
        stages = Stages(SCAN, CLIP, WRITE)
        simulated = ingest(1_000_000, workers, stages, 64, np.random.default_rng(0))
        rows.append((f"{workers} workers", [ingest_rate(workers, CLIP), simulated]))
    return table(["arithmetic, images/s", "simulated"], rows)


def _titles() -> list[str]:
    return ["1 million", "10 million", "100 million", "1 billion"]


TABLES = {
    "bytes": bytes_table,
    "hours": hours_table,
    "searches": search_table,
    "queue": queue_table,
    "shards": shards_table,
    "workers": ingest_table,
}


def main() -> None:
    for name, make in TABLES.items():
        print(f"\n{name}\n\n{make()}")


if __name__ == "__main__":
    main()
