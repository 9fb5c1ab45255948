"""What makes one set of vectors as hard to search as another: measured, and set side by side."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from benchmarks.dataset import Dataset
from benchmarks.ground_truth import ground_truth, recall_at_k
from lookalike.core.vectors import FloatArray

PERCENTILES = (10, 50, 90)
NEIGHBOURS = 100
PAIRS = 200_000
SAMPLE = 50_000  # rows for the mean and the spectrum
SPECTRUM = slice(1, 200)  # the components that the exponent is fitted to
N_CELLS = 512
READ = 0.07  # the part of the rows in the cells that are probed
SEED = 20240601


@dataclass(frozen=True)
class Resemblance:
    """Figures of one dataset, each under the name that it has in the table.

    A figure is a number, or three of them: the percentiles 10, 50 and 90 over the queries.
    """

    dataset: str
    n: int
    figures: Mapping[str, float | tuple[float, ...]]


def measure(dataset: Dataset, *, searches: bool, n_cells: int = N_CELLS) -> Resemblance:
    """Measures a dataset. `searches` adds what needs a copy or two of it, for some 50,000 rows."""
    sample = _sample(dataset)
    mean = sample.mean(axis=0, dtype=np.float64).astype(np.float32)
    centred = centre(dataset, mean)
    figures = {
        **_mean_figures(sample, mean),
        **_neighbour_figures("raw", dataset),
        **_neighbour_figures("centred", centred),
        "local dimension of the 100 nearest, centred, p50": local_dimension(centred),
        **spectrum(sample - mean),
    }
    if searches:
        figures |= {
            "recall@10 of the 100 nearest sign codes": sign_code_recall(centred),
            f"recall@10 of the {READ:.0%} of rows in the nearest of {n_cells} cells": cell_recall(
                centred, n_cells
            ),
        }
    return Resemblance(dataset.name, dataset.n, figures)


def centre(dataset: Dataset, mean: FloatArray) -> Dataset:
    """The dataset less a mean, shape (dim,), in memory."""
    return replace(
        dataset,
        name=f"{dataset.name}-centred",
        base=dataset.base - mean,
        queries=dataset.queries - mean,
    )


def _sample(dataset: Dataset) -> FloatArray:
    step = max(1, dataset.n // SAMPLE)
    return np.array(dataset.base[::step])


def _mean_figures(sample: FloatArray, mean: FloatArray) -> dict[str, float]:
    unit_mean = (sample / np.linalg.norm(sample, axis=1, keepdims=True)).mean(axis=0)
    deviation = float(np.sqrt(np.mean(np.sum((sample - mean) ** 2, axis=1))))
    return {
        "norm of the mean, of a typical distance from it": float(np.linalg.norm(mean)) / deviation,
        "largest coordinate of the mean unit vector": float(unit_mean[np.argmax(abs(unit_mean))]),
    }


def _neighbour_figures(kind: str, dataset: Dataset) -> dict[str, float | tuple[float, ...]]:
    truth = ground_truth(dataset, k=NEIGHBOURS).similarities
    figures: dict[str, float | tuple[float, ...]] = {}
    for k in (1, 10, 100):
        figures[f"similarity of neighbour {k}, {kind}, mean"] = float(truth[:, k - 1].mean())
        spread = np.percentile(truth[:, k - 1], PERCENTILES)
        figures[f"similarity of neighbour {k}, {kind}, p10 p50 p90"] = tuple(spread)
    figures[f"similarity of a random pair, {kind}, p10 p50 p90"] = tuple(
        np.percentile(_pairs(dataset), PERCENTILES)
    )
    return figures


def _pairs(dataset: Dataset) -> npt.NDArray[np.float32]:
    """Similarities of each query with random rows."""
    rng = np.random.default_rng(SEED)
    count = PAIRS // len(dataset.queries)
    rows = np.sort(rng.choice(dataset.n, min(count, dataset.n), replace=False))
    similarities: npt.NDArray[np.float32] = unit(dataset.queries) @ unit(dataset.base[rows]).T
    return similarities.ravel()


def unit(rows: npt.ArrayLike) -> FloatArray:
    """Rows (n, dim) scaled to norm 1."""
    array = np.asarray(rows, dtype=np.float32)
    scaled: FloatArray = array / np.linalg.norm(array, axis=1, keepdims=True)
    return scaled


def local_dimension(dataset: Dataset) -> float:
    """The median over the queries of the dimension that their neighbours' distances tell.

    The maximum-likelihood estimate of Levina and Bickel (2004), on unit vectors.
    """
    truth = ground_truth(dataset, k=NEIGHBOURS).similarities
    distances = np.sqrt(np.maximum(2 - 2 * truth, 1e-12))
    logs = np.log(distances[:, -1:] / distances[:, :-1])
    return float(np.median(1 / np.maximum(logs.mean(axis=1), 1e-12)))


def spectrum(centred: FloatArray) -> dict[str, float]:
    """How fast the standard deviations of the principal components fall, as i^-exponent.

    The effective dimension is that of a flat spectrum which spreads as much.
    """
    values = np.linalg.eigvalsh((centred.T @ centred).astype(np.float64))[::-1]
    i = np.arange(1, len(values) + 1)[SPECTRUM]
    slope = np.polyfit(np.log(i), np.log(values[SPECTRUM]) / 2, 1)[0]
    return {
        "spectrum: exponent of components 2 to 200": -float(slope),
        "spectrum: effective dimension": float(values.sum() ** 2 / (values**2).sum()),
    }


def sign_code_recall(dataset: Dataset, *, shortlist: int = 100) -> float:
    """Recall@10 when the rows with the nearest sign codes, rotated, are ranked exactly."""
    rng = np.random.default_rng(SEED)
    rotation, _ = np.linalg.qr(rng.standard_normal((dataset.dim, dataset.dim)))
    rotation = rotation.astype(np.float32)
    codes, query_codes = (np.sign(rows @ rotation) for rows in (dataset.base, dataset.queries))
    agreement = query_codes @ codes.T
    rows = np.argpartition(-agreement, shortlist - 1, axis=1)[:, :shortlist]
    return recall_of(dataset, list(rows))


def cell_recall(dataset: Dataset, n_cells: int = N_CELLS) -> float:
    """Recall@10 among the rows of the nearest cells, up to the part READ of all rows."""
    base, queries = unit(dataset.base), unit(dataset.queries)
    centroids = k_means(base, n_cells)
    cells = np.argmax(base @ centroids.T, axis=1)
    members = [np.flatnonzero(cells == cell) for cell in range(n_cells)]
    sizes = np.bincount(cells, minlength=n_cells)
    order = np.argsort(-(queries @ centroids.T), axis=1)
    read = np.cumsum(sizes[order], axis=1) <= READ * dataset.n
    probed = [row[: max(1, taken.sum())] for row, taken in zip(order, read, strict=True)]
    return recall_of(dataset, [np.concatenate([members[c] for c in row]) for row in probed])


def k_means(rows: FloatArray, n_cells: int, *, rounds: int = 10) -> FloatArray:
    """Unit centroids (n_cells, dim) of unit rows (n, dim), by cosine."""
    rng = np.random.default_rng(SEED)
    centroids = rows[rng.choice(len(rows), n_cells, replace=False)]
    for _ in range(rounds):
        cells = np.argmax(rows @ centroids.T, axis=1)
        sums = np.zeros_like(centroids)
        np.add.at(sums, cells, rows)
        empty = ~sums.any(axis=1)
        sums[empty] = rows[rng.choice(len(rows), empty.sum())]
        centroids = unit(sums)
    return centroids


def recall_of(dataset: Dataset, candidates: list[npt.NDArray[np.int64]]) -> float:
    """Recall@10 when each query's candidates are ranked exactly."""
    base = unit(dataset.base)
    found = np.full((len(candidates), 10), -1)
    for row, (query, ids) in enumerate(zip(unit(dataset.queries), candidates, strict=True)):
        nearest = ids[np.argsort(-(base[ids] @ query))[:10]]
        found[row, : len(nearest)] = nearest
    return recall_at_k(found, ground_truth(dataset, k=NEIGHBOURS), 10)


def table(columns: list[Resemblance]) -> str:
    """A Markdown table: a row for each figure, a column for each dataset."""
    names = list(dict.fromkeys(name for column in columns for name in column.figures))
    lines = [
        "| | " + " | ".join(f"{c.dataset}, {c.n:,}" for c in columns) + " |",
        "|---|" + "---:|" * len(columns),
    ]
    for name in names:
        cells = (_shown(column.figures.get(name)) for column in columns)
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _shown(figure: float | tuple[float, ...] | None) -> str:
    if figure is None:
        return ""
    return " ".join(
        f"{value:.3g}" for value in (figure if isinstance(figure, tuple) else (figure,))
    )
