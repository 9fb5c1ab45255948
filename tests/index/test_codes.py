"""The codes' mathematics against exact inner products."""

import hashlib

import numpy as np
import pytest
from scipy.linalg import hadamard

from lookalike.index.codes import centroid_planes, encode, estimate, query_planes
from lookalike.index.rotation import DenseRotation, FactoredRotation

RNG = np.random.default_rng(5)


def unit(n, dim):
    vectors = RNG.standard_normal((n, dim)).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.mark.parametrize("dim", [1, 3, 8, 100, 512, 1280, 2049])
@pytest.mark.parametrize("kind", [DenseRotation, FactoredRotation])
def test_a_rotation_keeps_inner_products(kind, dim):
    rotation = kind(dim, seed=3)
    v, w = unit(4, dim), unit(4, dim)
    rotated = rotation(v)
    assert rotated.shape == (4, rotation.bits) and rotation.bits % 8 == 0
    assert np.allclose(rotated @ rotation(w).T, v @ w.T, atol=1e-4)


@pytest.mark.parametrize("kind", [DenseRotation, FactoredRotation])
def test_a_seed_gives_the_same_rotation_and_another_one_another(kind):
    v = unit(1, 64)
    assert np.array_equal(kind(64, 1)(v), kind(64, 1)(v))
    assert not np.allclose(kind(64, 1)(v), kind(64, 2)(v))


@pytest.mark.parametrize("dim", [32, 96, 512, 1280])
def test_a_factored_rotation_is_the_product_of_its_definition(dim):
    """scipy's Hadamard matrices, and the Hartley transform by numpy's Fourier transform."""
    rotation, rows = FactoredRotation(dim, seed=7), dim // 32
    flips = [hashlib.sha256(f"7:{row}".encode()).hexdigest()[:8] for row in range(rows)]
    signs = np.array([-1 if bit == "1" else 1 for f in flips for bit in f"{int(f, 16):032b}"])
    fourier = np.fft.fft(np.eye(rows))
    across = hadamard(rows) if rows in (1, 16) else fourier.real - fourier.imag
    matrix = np.kron(across, hadamard(32)) / np.sqrt(dim) * signs
    vectors = unit(5, dim)
    assert np.allclose(rotation(vectors), vectors @ matrix.T, atol=1e-6)


def test_a_factored_rotation_spreads_one_large_number_over_all():
    one = np.eye(512, dtype=np.float32)[[3, 500]]
    assert np.allclose(np.abs(FactoredRotation(512, 1)(one)), 512**-0.5)


def test_products_of_centroid_planes_are_the_products():
    centroids, query = unit(20, 64) * 3, unit(1, 64)[0]
    fine = centroid_planes(centroids)
    bits = np.unpackbits(fine.planes.reshape(20, 8, 8), axis=2).astype(int)
    levels = np.einsum("j,njb->nb", 2 ** np.arange(7, -1, -1), bits)
    assert np.array_equal(levels.sum(axis=1), fine.level_sums)
    rounded = fine.steps[:, None] * (levels - 127.5)
    assert np.abs(rounded - centroids).max() <= 1.01 * fine.steps.max() / 2
    centred = centroids - centroids.mean(axis=0)
    signs = np.where(np.unpackbits(fine.codes, axis=1), 1, -1)
    assert np.array_equal(signs, np.where(centred > 0, 1, -1))
    products = fine.scales * (signs @ query)
    assert np.abs(products - centred @ query).max() < 5 * 3 / np.sqrt(64)


def test_codes_are_the_signs():
    rotation = FactoredRotation(20, seed=1)
    vectors = unit(5, 20)
    codes, _ = encode(rotation(vectors))
    assert codes.shape == (5, 4)
    expected = ["".join("1" if z > 0 else "0" for z in row) for row in rotation(vectors)]
    assert ["".join(f"{byte:08b}" for byte in code) for code in codes] == expected


def test_estimates_of_the_formula():
    """The bit-count form equals scale * <s, rounded y>, computed directly."""
    rotation = FactoredRotation(64, seed=1)
    vectors, query = unit(50, 64), unit(1, 64)[0]
    codes, scales = encode(rotation(vectors))
    planes = query_planes(rotation(query[None]))
    signs = np.where(rotation(vectors) > 0, 1.0, -1.0)
    bits = np.unpackbits(planes.planes[0], axis=1).astype(int)
    rounded = planes.steps[0] * (bits.T @ [1, 2, 4, 8] - 7.5)
    assert np.abs(rounded - rotation(query[None])[0]).max() <= planes.steps[0] / 2 + 1e-6
    expected = scales * (signs @ rounded)
    assert np.allclose(estimate(codes, scales, planes), expected, atol=1e-5)


def test_estimates_are_unbiased():
    """Over many rotations the mean error vanishes, as Theorem 3.2 of the paper says."""
    vectors, query = unit(20, 64), unit(1, 64)[0]
    errors = []
    for seed in range(400):
        rotation = FactoredRotation(64, seed)
        codes, scales = encode(rotation(vectors))
        found = estimate(codes, scales, query_planes(rotation(query[None])))
        errors.append(found - vectors @ query)
    errors = np.array(errors)
    # Five standard errors of the mean.
    assert np.abs(errors.mean(axis=0)).max() < 5 * errors.std() / np.sqrt(len(errors))


def test_the_error_shrinks_with_the_root_of_the_dim():
    spread = {}
    for dim in (64, 256, 1024):
        rotation = FactoredRotation(dim, 1)
        vectors, queries = unit(500, dim), unit(20, dim)
        codes, scales = encode(rotation(vectors))
        found = [estimate(codes, scales, query_planes(rotation(query[None]))) for query in queries]
        spread[dim] = np.std(np.array(found) - queries @ vectors.T)
    for dim, error in spread.items():
        # sqrt(pi / 2 - 1) / sqrt(dim) for unit vectors, and a little for the rounding.
        assert error * np.sqrt(dim) == pytest.approx(np.sqrt(np.pi / 2 - 1), rel=0.1)


def test_an_all_zero_residual_is_estimated_as_zero():
    codes, scales = encode(np.zeros((1, 16), np.float32))
    found = estimate(codes, scales, query_planes(unit(1, 16)))
    assert found.tolist() == [0]


def test_arguments_stay_as_they_are():
    vectors = unit(3, 16)
    before = vectors.copy()
    encode(vectors)
    query_planes(vectors)
    FactoredRotation(16, 1)(vectors)
    assert np.array_equal(vectors, before)
