"""Levels: scores against a plain computation, and thresholds that grow with the collection."""

import numpy as np
import pytest

from lookalike.models.efficientnet.words import class_shares
from lookalike.search.levels import Scale, Thresholds, scale_of, unmeasured_scores, word_scores
from lookalike.search.percentiles import PERCENTILES, Percentiles


def test_a_larger_collection_asks_for_more():
    thresholds = Thresholds(weak=3, strong=4, growth=0.5)
    for n in (0, 1, 100):
        found = [thresholds.level(score, n) for score in (2.99, 3, 3.99, 4)]
        assert found == ["chance", "weak", "weak", "strong"]
    found = [thresholds.level(score, 10_000) for score in (3.99, 4, 4.99, 5)]
    assert found == ["chance", "weak", "weak", "strong"]


def test_an_image_score_counts_deviations_of_the_querys_own_cosines():
    rng = np.random.default_rng(0)
    stretched = rng.standard_normal((4000, 8)) * np.array([5, 3, 1, 1, 1, 1, 1, 1]) + 0.5
    values, vectors = np.linalg.eigh(np.cov(stretched.T, bias=True))
    axes = (vectors[:, -2:] * np.sqrt(values[-2:])).T
    rest = values[:-2].mean()
    none = Thresholds(0, 0, 0)
    scale = Scale(stretched.mean(axis=0), axes, float(rest), none, None)
    for query in rng.standard_normal((20, 8)):
        cosines = stretched @ (query / np.linalg.norm(query))
        expected = (0.7 - cosines.mean()) / cosines.std()
        found = scale.image_scores(query.astype(np.float32), np.array([0.7]))
        # The directions without axes have all the same variance here, but for the sample.
        assert found == pytest.approx([expected], rel=0.05)


def test_a_word_score_falls_with_what_else_a_picture_shows():
    found = word_scores(np.array([0.4, 0.4, 0.2]), np.array([1.0, 0.25, 1.0]))
    assert found == pytest.approx([0.4, 0.2, 0.2])


def test_a_share_is_of_all_classes():
    rng = np.random.default_rng(1)
    directions = rng.standard_normal((1000, 16)).astype(np.float32)
    images = rng.standard_normal((3, 16)).astype(np.float32)
    tabby = class_shares("tabby", images, directions)
    for image, share in zip(images, tabby, strict=True):
        cosines = [
            float(image @ row / np.linalg.norm(image) / np.linalg.norm(row)) for row in directions
        ]
        powers = np.exp(20 * np.array(cosines))
        assert share == pytest.approx(powers[281] / powers.sum(), rel=1e-4)  # the class's number


def test_an_unmeasured_score_counts_deviations_of_random_pairs():
    pairs = np.random.default_rng(2).normal(0.3, 0.05, 200_000)
    pairs[:5000] = 0.99  # these belong together
    percentiles = Percentiles(np.percentile(pairs, PERCENTILES))
    found = unmeasured_scores(np.array([0.3, 0.5]), percentiles)
    assert found == pytest.approx([0, 4], abs=0.4)


def test_pairs_that_are_all_as_similar_tell_nothing():
    assert unmeasured_scores(np.array([0.5]), Percentiles(np.full(len(PERCENTILES), 0.5))) is None


def test_the_embedded_model_alone_has_a_scale():
    scale = scale_of("efficientnet-lite2")
    assert scale.mean.shape == (1280,) and scale.axes.shape == (64, 1280)
    for thresholds in (scale.images, scale.words):
        assert 0 < thresholds.weak <= thresholds.strong and thresholds.growth >= 0
    for other in ("clip-ViT-B-32", None, "../scales/efficientnet-lite2", "__init__.py"):
        assert scale_of(other) is None
