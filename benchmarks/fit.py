"""Fits the recipe of the synthetic set to the real one: a random search, with few rules.

    python -m benchmarks.fit [ROUNDS]

prints the best recipe as it improves; the one that stands in benchmarks/synthetic.py came of it.
"""

import dataclasses
import sys

import numpy as np
import numpy.typing as npt

from benchmarks.data import DIM, N_QUERIES, SEED, load
from benchmarks.resemblance import PERCENTILES, spectrum, unit
from benchmarks.synthetic import Process, Recipe
from lookalike.core.vectors import FloatArray

FITTED = (
    ("subjects", 500, 8000),
    ("popularity", 0.0, 0.8),
    ("exponent", 0.3, 1.2),
    ("shift", 0.0, 20.0),
    ("topic", 0.01, 3.0),
    ("subject", 0.01, 3.0),
    ("picture_spread", 0.0, 2.0),
    ("view", 0.005, 1.0),
    ("view_spread", 0.1, 2.5),
    ("single", 0.0, 0.5),
    ("views", 2.0, 12.0),
)
"""Each with its least and greatest value; picture's variance is the unit of the others."""


def features(base: FloatArray, queries: FloatArray) -> npt.NDArray[np.float64]:
    """What should agree: similarities of neighbours and pairs after centring, and the spectrum."""
    mean = base.mean(axis=0)
    shape = spectrum(base - mean)
    similarities = unit(queries - mean) @ unit(base - mean).T
    count = similarities.shape[1]
    ranks = [count - k for k in (100, 30, 10, 3, 1)]
    neighbours = np.partition(similarities, ranks, axis=1)[:, ranks]
    return np.concatenate(
        [
            np.percentile(neighbours, PERCENTILES, axis=0).ravel(),
            neighbours.mean(axis=0),
            np.percentile(similarities[:, : count // 10], PERCENTILES),
            [shape["spectrum: exponent of components 2 to 200"]],
            [shape["spectrum: effective dimension"] / 300],
        ]
    )


def of_recipe(recipe: Recipe, n: int) -> npt.NDArray[np.float64]:
    rows = Process(DIM, recipe, SEED).rows(0, n + N_QUERIES)
    return features(rows[N_QUERIES:], rows[:N_QUERIES])


def step(recipe: Recipe, size: float, rng: np.random.Generator) -> Recipe:
    """The recipe with some of its numbers changed, by about `size` of their range."""
    changes = {}
    for name, low, high in FITTED:
        if rng.random() < 0.4:
            value = getattr(recipe, name) * np.exp(size * rng.standard_normal())
            value = np.clip(value + (high - low) * 1e-3 * size, low, high)
            changes[name] = type(getattr(recipe, name))(value)
    return dataclasses.replace(recipe, **changes)


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 300
    real = load("real512")
    target = features(np.asarray(real.base), real.queries)
    rng = np.random.default_rng(SEED)
    best = Recipe()
    error = float(np.square(of_recipe(best, real.n) - target).sum())
    size = 0.5
    for number in range(rounds):
        candidate = step(best, size, rng)
        found = float(np.square(of_recipe(candidate, real.n) - target).sum())
        if found < error:
            best, error, size = candidate, found, min(size * 1.5, 0.5)
            print(f"{number}: {error:.4f} {best}", flush=True)
        else:
            size = max(size * 0.97, 0.02)


if __name__ == "__main__":
    main()
