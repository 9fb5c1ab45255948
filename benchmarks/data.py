"""The benchmark's data: embeddings of real images, and a synthetic million that resembles them.

`python -m benchmarks.data` makes them once, in benchmarks/.cache, with the table that compares the
two (data.md). `load` opens them. They come from Debian's and PyPI's packages and from seeds, so
that every machine makes the same, up to rounding.

real       float32 embeddings of 1280 dims as the embedded model gives them
real512    the same, turned onto their 512 leading principal directions: no mean is subtracted
           and nothing is scaled, so that their cosines stay the model's own
synthetic  1,000,000 x 512, of which a smaller n takes the first rows
huge       as many x 128 as `benchmarks.huge` makes, by the same process

The queries are 1,000 rows held out from each base. Other crops of a query's picture stay in the
base: as in a real search, some of what is looked for has close relatives there and some has none.
"""

import json
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from benchmarks import real_images, resemblance
from benchmarks.dataset import CACHE, Dataset
from benchmarks.embedded_model_mean import fetch
from benchmarks.synthetic import CHUNK, Process, Recipe
from lookalike.core.vectors import FloatArray

Name = Literal["real", "real512", "synthetic", "huge"]

N_QUERIES = 1000
N_SYNTHETIC = 1_000_000
DIM = 512
FURTHER = 1_000_000  # the number of a chunk that no base reaches
SEED = 20240601


def load(name: Name, n: int | None = None, *, folder: Path = CACHE) -> Dataset:
    """Open the first n vectors of a dataset, all of them when n is None.

    The base stays on disk until it is read. Raises FileNotFoundError when the dataset has not
    been made, and ValueError for a name or a number of vectors that there is not.
    """
    if name not in get_args(Name):
        raise ValueError(f"no dataset {name!r}: there are {', '.join(get_args(Name))}")
    base, queries = (folder / f"{name}{part}.npy" for part in ("", "_queries"))
    if not (base.exists() and queries.exists()):
        raise FileNotFoundError(f"{base.name} is not made: run `python -m benchmarks.data`")
    rows = np.load(base, mmap_mode="r")
    if n is not None and not 0 < n <= len(rows):
        raise ValueError(f"{name} has {len(rows)} vectors, not {n}")
    return Dataset(name, rows[:n], np.load(queries), folder)


def save(name: Name, base: FloatArray, queries: FloatArray, *, folder: Path = CACHE) -> None:
    """Keep a dataset for `load`; it appears when both of its files are complete."""
    for part, array in (("_queries", queries), ("", base)):
        new = folder / f"{name}{part}.new.npy"
        np.save(new, array)
        new.rename(folder / f"{name}{part}.npy")


def hold_out(
    rows: FloatArray, n_queries: int, rng: np.random.Generator
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The numbers of the rows that make the base, shuffled, and of those held out as queries."""
    order = rng.permutation(len(rows))
    return order[n_queries:], order[:n_queries]


def principal_directions(rows: FloatArray, dim: int) -> FloatArray:
    """The leading principal directions of rows (n, old_dim), as columns: (old_dim, dim)."""
    centred = rows - rows.mean(axis=0, dtype=np.float64).astype(np.float32)
    _, directions = np.linalg.eigh((centred.T @ centred).astype(np.float64))
    return directions[:, ::-1][:, :dim].astype(np.float32)


def make_real() -> None:
    """Embed the images, and keep both real datasets and what is known of them (real.json)."""
    sources = CACHE / "sources"
    if not sources.exists():
        new = CACHE / "sources.new"
        fetch(new)
        new.rename(sources)
    start = time.monotonic()
    rows, pictures, groups = real_images.embed(sources, _reporter("embedded"))
    keep_real(rows, pictures, groups, seconds=time.monotonic() - start)


def keep_real(
    rows: FloatArray,
    pictures: npt.NDArray[np.int32],
    groups: list[str],
    *,
    seconds: float,
    folder: Path = CACHE,
) -> None:
    """Hold queries out of the embeddings (n, dim), and keep them in 1280 and in 512 dimensions."""
    base, queries = hold_out(rows, N_QUERIES, np.random.default_rng(SEED))
    directions = principal_directions(rows[base], DIM)
    facts = {
        "model": "efficientnet-lite2",
        "dim": rows.shape[1],
        "base": len(base),
        "queries": len(queries),
        "pictures": len(np.unique(pictures)),
        "embeddings_of": dict(Counter(groups)),
        "queries_with_another_view_in_base": int(np.isin(pictures[queries], pictures[base]).sum()),
        "variance_kept_by_512": _variance(rows[base] @ directions) / _variance(rows[base]),
        "seed": SEED,
        "seconds": round(seconds),
    }
    folder.joinpath("data.md").unlink(missing_ok=True)
    save("real512", rows[base] @ directions, rows[queries] @ directions, folder=folder)
    save("real", rows[base], rows[queries], folder=folder)
    folder.joinpath("real.json").write_text(json.dumps(facts, indent=2) + "\n")


def _variance(rows: FloatArray) -> float:
    return float(rows.var(axis=0, dtype=np.float64).sum())


def make_synthetic(
    n: int = N_SYNTHETIC,
    dim: int = DIM,
    name: Name = "synthetic",
    *,
    chunk: int = CHUNK,
    folder: Path = CACHE,
) -> None:
    """Write a synthetic base chunk by chunk, and its queries: rows held out of the first one."""
    process = Process(dim, Recipe(), SEED)
    first = process.rows(0, min(n, chunk) + N_QUERIES)
    new = folder / f"{name}.new.npy"
    base = np.lib.format.open_memmap(new, "w+", np.float32, (n, dim))
    base[:chunk] = first[N_QUERIES:]
    report = _reporter("made")
    for start in range(chunk, n, chunk):
        base[start : start + chunk] = process.rows(start // chunk, min(chunk, n - start))
        report(start + chunk)
    base.flush()
    if name == "synthetic":
        folder.joinpath("data.md").unlink(missing_ok=True)
    np.save(folder / f"{name}_queries.npy", first[:N_QUERIES])
    new.rename(folder / f"{name}.npy")


def _reporter(what: str) -> Callable[[int], None]:
    """Something to call with a count, which prints it every few seconds."""
    last = time.monotonic()

    def report(count: int) -> None:
        nonlocal last
        if time.monotonic() - last > 5:
            last = time.monotonic()
            print(f"{what} {count:,}", flush=True)

    return report


def further(count: int) -> FloatArray:
    """Synthetic vectors that no base has, (count, 512), to insert beside one."""
    return Process(DIM, Recipe(), SEED).rows(FURTHER, count)


def compare() -> str:
    """The Markdown table of the real sets and of the synthetic one at several sizes."""
    real = load("real")
    sets: tuple[tuple[Name, int], ...] = (
        ("real", real.n),
        ("real512", real.n),
        ("synthetic", real.n),
        ("synthetic", 100_000),
        ("synthetic", N_SYNTHETIC),
    )
    columns = [resemblance.measure(load(name, n), searches=n == real.n) for name, n in sets]
    return resemblance.table(columns)


def main() -> None:
    CACHE.mkdir(exist_ok=True)
    if not (CACHE / "real.npy").exists():
        print("Embedding the real images: about eight minutes", flush=True)
        make_real()
    if not (CACHE / "synthetic.npy").exists():
        print("Making the synthetic vectors", flush=True)
        make_synthetic()
    print((CACHE / "real.json").read_text())
    if not (CACHE / "data.md").exists():
        print("Comparing them: about two minutes", flush=True)
        CACHE.joinpath("data.md").write_text(compare())
    print((CACHE / "data.md").read_text())


if __name__ == "__main__":
    main()
