"""The groups of a search, and what has become of them."""

import pytest

from lookalike import DuplicateGroup, DuplicateImage
from lookalike.web.finding import FoundDuplicates, FoundGroup
from lookalike.web.problems import Problem


def image(row_id, tier=None):
    return DuplicateImage(row_id, f"{row_id}.jpg", None, None, 10, 4, 3, 1.0, tier)


def found(*tiers):
    groups = [
        DuplicateGroup(image(10 * number), (image(10 * number + 1, tier),))
        for number, tier in enumerate(tiers)
    ]
    return FoundDuplicates({}, {str(n): FoundGroup(str(n), each) for n, each in enumerate(groups)})


def names(groups):
    return [group.name for group in groups]


def test_open_groups_by_tier_and_after_another():
    result = found("identical", "similar", "identical", "similar")
    assert names(result.open()) == ["0", "1", "2", "3"]
    assert names(result.open("similar")) == ["1", "3"]
    assert names(result.open(after="1")) == ["2", "3"]
    result.groups["1"].state = "removed"
    assert names(result.open(after="1")) == ["2", "3"]
    assert names(result.open("similar")) == ["3"]
    assert names(result.open(after="from an older search")) == ["0", "2", "3"]


def test_unknown_groups():
    with pytest.raises(Problem) as caught:
        found("identical").get("7-abcd")
    assert caught.value.status == 404
