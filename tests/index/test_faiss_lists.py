"""The codes as faiss stores them, against the formula and against the estimates of SQL."""

import struct
import sys

import faiss
import numpy as np
import pytest

from lookalike.core.types import Plan
from lookalike.core.vectors import of_bfloat16, to_bfloat16
from lookalike.index import faiss_lists
from lookalike.index.faiss_lists import FaissLists, records, refusal
from lookalike.index.ivf import Codes, Index
from lookalike.index.memory import MemoryIndex

METRICS = ["cosine", "euclidean", "dot"]


def index_of(metric, dim, n_cells, seed=0):
    """An index with random centroids, their lengths from a tenth to ten."""
    rng = np.random.default_rng(seed)
    bits = -(-dim // 32) * 32
    centroids = rng.standard_normal((n_cells, bits)).astype(np.float32) / np.sqrt(bits)
    if metric != "cosine":
        centroids *= np.geomspace(0.1, 10, n_cells, dtype=np.float32)[:, np.newaxis]
    centroids = of_bfloat16(to_bfloat16(centroids))
    return Index(
        metric=metric,
        dim=dim,
        generation=1,
        seed=7,
        unit=1.0,
        plan=Plan(n_cells, 100.0, 50, None, 0.99),
        trained_rows=400,
        centroids=centroids,
        spreads=np.ones(n_cells, np.float32),
    )


def vectors(n, dim, seed):
    return np.random.default_rng(seed).standard_normal((n, dim)).astype(np.float32)


def filled(index, codes):
    lists = FaissLists(index.centroids)
    lists.add(codes)
    return lists


def test_a_record_holds_the_signs_and_two_factors():
    """Bit 0 of faiss is the least significant of the first byte; the factors are little-endian."""
    code = np.packbits([1, 0, 0, 0, 0, 0, 1, 1] + [0] * 7 + [1])[np.newaxis]
    scales, biases = np.array([0.5], np.float32), np.array([0.25], np.float32)
    codes = Codes(np.array([0]), np.array([1]), code, scales, biases)
    (record,) = records(codes, np.array([2.0], np.float32))
    assert record[:2].tolist() == [0b11000001, 0b10000000]
    assert struct.unpack("<2f", record[2:].tobytes()) == (-2.5, 2.0)


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dim", [13, 64, 100])
def test_without_rounding_the_estimates_are_those_of_the_formula(metric, dim):
    index = index_of(metric, dim, 5)
    prepared = index.preparation(vectors(300, dim, 1))
    codes = index.encode(np.arange(300), prepared)
    query = index.preparation.query(vectors(1, dim, 2)[0])
    ids, found = filled(index, codes.in_key_order()).nearest(
        query, np.arange(5)[np.newaxis], 300, planes=0
    )
    assert sorted(ids[0].tolist()) == list(range(300))
    residuals = (prepared - index.centroids[codes.cells]).astype(float)
    scales = (residuals**2).sum(axis=1) / np.abs(residuals).sum(axis=1)
    rest = query[0].astype(float) - index.centroids[codes.cells]
    expected = (
        prepared @ query[0]
        - (residuals * rest).sum(axis=1)
        + scales * (np.sign(residuals) * rest).sum(axis=1)
    )
    if metric == "euclidean":
        expected -= (prepared.astype(float) ** 2).sum(axis=1) / 2
    assert found[0] == pytest.approx(expected[ids[0]], rel=1e-4, abs=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("dim", [24, 100, 512])
def test_estimates_differ_from_those_of_sql_by_rounding_only(metric, dim):
    """Each rounds y to steps of its own; the sum over the bits of half a step is the worst."""
    index = index_of(metric, dim, 5)
    codes = index.encode(np.arange(400), index.preparation(vectors(400, dim, 3))).in_key_order()
    memory = MemoryIndex(index, len(codes.ids))
    memory.add(codes)
    for query in vectors(5, dim, 4):
        found = memory.candidates(query[np.newaxis], n_probes=5, rows=400)
        prepared = index.preparation.query(query)
        cells = np.arange(5)
        by_sql = index.estimates(prepared, cells, codes, codes.cells)
        slopes = index.slopes(index.centroids @ prepared[0], cells)[codes.cells]
        rest = prepared - slopes[:, np.newaxis] * index.centroids[codes.cells]
        step = np.ptp(rest, axis=1) / 15 + np.abs(rest).max(axis=1) / 7.5
        # Errors of rounding add up like random ones: 8 standard deviations of a uniform one each.
        error = 8 * codes.scales * step * np.sqrt(rest.shape[1] / 12) + 1e-4
        if metric == "dot":
            by_sql, error = (each * np.linalg.norm(query) for each in (by_sql, error))
        if metric == "euclidean":
            lengths = (prepared**2).sum()
            estimates = found.estimates[0] ** 2 / -2 + lengths / 2
        else:
            estimates = found.estimates[0]
        order = np.argsort(codes.ids)[found.ids[0]]
        assert (np.abs(estimates - by_sql[order]) <= error[order]).all()
        # Nearly the same are the best of both.
        best = set(codes.ids[np.argsort(-by_sql)[:50]].tolist())
        assert len(best & set(found.ids[0, :50].tolist())) >= 35


def test_an_all_zero_residual_has_its_exact_estimate():
    index = index_of("cosine", 16, 2)
    codes = index.encode(np.array([9]), index.centroids[:1], np.array([0]))
    query = index.preparation.query(vectors(1, 16, 5)[0])
    ids, found = filled(index, codes).nearest(query, np.array([[0, 1]]), 3)
    assert ids.tolist() == [[9, -1, -1]]
    assert found[0, 0] == pytest.approx(float(index.centroids[0] @ query[0]), abs=1e-6)


def test_cells_that_are_not_read_have_no_results():
    index = index_of("euclidean", 16, 3)
    codes = index.encode(np.arange(60), index.preparation(vectors(60, 16, 6)), np.arange(60) // 20)
    lists = filled(index, codes)
    ids, _ = lists.nearest(index.centroids[:2], np.array([[1, -1], [2, 0]]), 60)
    assert sorted(ids[0].tolist()) == [-1] * 40 + list(range(20, 40))
    assert sorted(ids[1].tolist()) == [-1] * 20 + [*range(20), *range(40, 60)]
    assert lists.ids_of(2).tolist() == list(range(40, 60)) and len(lists) == 60


def test_the_threads_of_faiss_stay_as_they_are():
    index = index_of("cosine", 16, 2)
    before = faiss.omp_get_max_threads()
    filled(index, index.encode(np.array([1]), index.centroids[:1])).nearest(
        index.centroids[:1], np.array([[0]]), 1
    )
    assert faiss.omp_get_max_threads() == before


def test_the_installed_faiss_is_usable():
    assert refusal() is None


def test_a_faiss_without_the_class_is_refused(monkeypatch):
    monkeypatch.delattr(faiss, "IndexIVFRaBitQ")
    assert "has no usable IndexIVFRaBitQ" in refusal.__wrapped__()
    monkeypatch.setitem(sys.modules, "faiss", None)
    assert "has no usable IndexIVFRaBitQ" in refusal.__wrapped__()


def test_a_faiss_with_another_layout_is_refused(monkeypatch):
    monkeypatch.setattr(faiss_lists, "_REVERSED", np.arange(256, dtype=np.uint8))
    assert refusal.__wrapped__() == "the installed faiss stores codes in another way"


def test_removed_codes_are_found_no_more():
    index = index_of("cosine", 24, 5)
    codes = index.encode(np.arange(400), index.preparation(vectors(400, 24, 3))).in_key_order()
    gone = np.random.default_rng(0).choice(400, 300, replace=False)
    stays = ~np.isin(codes.ids, gone)
    one, other = filled(index, codes), filled(index, codes.take(np.flatnonzero(stays)))
    cells = codes.cells[np.argsort(codes.ids)]
    one.remove(gone, cells[gone])
    one.remove(gone, cells[gone])  # unknown by now
    assert len(one) == len(other) == 100
    prepared = index.preparation.queries(vectors(3, 24, 9))
    found = [each.nearest(prepared, np.tile(np.arange(5), (3, 1)), 400) for each in (one, other)]
    assert np.array_equal(found[0][1], found[1][1])
    assert all(set(row) == {-1, *codes.ids[stays].tolist()} for row in found[0][0])
