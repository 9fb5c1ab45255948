"""Thresholds from examples."""

import numpy as np
import pytest

from lookalike.core.errors import InputError
from lookalike.screening.calibration import calibrate


def test_a_gap_is_cut_in_its_middle():
    found = calibrate([0.9, 0.8], [0.2, 0.4])
    assert found.min_similarity == pytest.approx(0.6)
    assert (found.false_positive_rate, found.false_negative_rate) == (0, 0)
    assert (found.positives, found.negatives) == (2, 2)


def test_the_sum_of_both_rates_is_smallest():
    found = calibrate([0.5, 0.8, 0.9, 0.95], [0.1, 0.2, 0.3, 0.85])
    # Between 0.3 and 0.5 only the other at 0.85 is wrong; every other threshold is worse.
    assert found.min_similarity == pytest.approx(0.4)
    assert (found.false_positive_rate, found.false_negative_rate) == (0.25, 0)


def test_false_positives_can_be_bounded():
    found = calibrate([0.5, 0.8, 0.9, 0.95], [0.1, 0.2, 0.3, 0.85], max_false_positive_rate=0)
    assert 0.85 < found.min_similarity <= 0.9
    assert (found.false_positive_rate, found.false_negative_rate) == (0, 0.5)


def test_others_that_are_like_nothing_else_need_a_threshold_above_all():
    found = calibrate([0.3], [0.9], max_false_positive_rate=0)
    assert found.min_similarity > 0.9 and found.false_negative_rate == 1


@pytest.mark.parametrize(
    ("matches", "others"), [([0.91238, 0.95], [0.91234, 0.5]), ([0.8, 1.0], [1.0, 0.9])]
)
def test_the_rates_are_those_of_the_threshold(matches, others):
    found = calibrate(matches, others, highest=1.0)
    assert found.false_negative_rate == np.mean(np.array(matches) < found.min_similarity)
    assert found.false_positive_rate == np.mean(np.array(others) >= found.min_similarity)


def test_a_threshold_that_no_similarity_can_reach_is_none():
    with pytest.raises(InputError, match="no threshold keeps the false positive rate at 0"):
        calibrate([1.0, 0.99], [1.0, 0.5], max_false_positive_rate=0, highest=1.0)


@pytest.mark.parametrize(
    ("rate", "enough"), [(None, 30), (1, 30), (0.5, 30), (0.1, 30), (0.01, 300), (0.001, 3000)]
)
def test_enough_negatives_would_show_a_rate(rate, enough):
    found = calibrate([0.9], [0.1], max_false_positive_rate=rate)
    assert (found.enough_positives, found.enough_negatives) == (30, enough)
    # With none wrong of so many, a rate above the one that is asked for has a chance below 5%.
    assert (1 - (rate or 0.1)) ** enough < 0.05


@pytest.mark.parametrize(("matches", "others"), [([], [0.1]), ([0.1], []), ([], [])])
def test_examples_of_both_kinds_are_needed(matches, others):
    with pytest.raises(InputError, match="images that should match and images that should not"):
        calibrate(matches, others)


def test_a_rate_is_a_share():
    with pytest.raises(InputError, match="max_false_positive_rate is 5"):
        calibrate([0.5], [0.1], max_false_positive_rate=5)
