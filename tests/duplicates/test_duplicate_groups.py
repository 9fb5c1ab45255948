"""Groups and candidate pairs, against what they promise and against brute force."""

from itertools import combinations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from lookalike.core.types import TIERS
from lookalike.duplicates.groups import Resemblances, make_groups
from lookalike.duplicates.hashes import MOST_BITS, pairs_of_hashes
from lookalike.duplicates.neighbours import unique_pairs
from lookalike.duplicates.pictures import Images

N = 10


def grouped(near, similar, *, picture=range(N), files=True, ranks=range(N), apart=(), **options):
    resemblances = Resemblances(list(picture), [files] * N)
    resemblances.add("near-duplicate", near)
    resemblances.add("similar", similar)
    distinct = {}
    for one, other in apart:
        distinct.setdefault(one, set()).add(other)
        distinct.setdefault(other, set()).add(one)
    groups = make_groups(resemblances, list(ranks), distinct, **options)
    return {group.keep: group.others for group in groups}


def test_a_chain_is_no_group():
    # 0 - 1 - 2 - 3: 2 resembles 1, but not 0, which is kept.
    assert grouped([(0, 1), (1, 2), (2, 3)], []) == {
        0: [(1, "near-duplicate")],
        2: [(3, "near-duplicate")],
    }


def test_the_better_of_two_is_kept():
    ranks = [1, 0, *range(2, N)]
    assert grouped([(0, 1), (0, 2)], [], ranks=ranks) == {1: [(0, "near-duplicate")]}


def test_a_similar_image_does_not_keep_near_duplicates_apart():
    # 1 and 2 are near-duplicates, both similar to the best image.
    assert grouped([(1, 2)], [(0, 1), (0, 2), (0, 3)]) == {
        0: [(3, "similar")],
        1: [(2, "near-duplicate")],
    }


def test_a_group_takes_no_better_image():
    # 0 is similar to 1, which keeps its near-duplicate 2.
    assert grouped([(1, 2)], [(0, 1)]) == {1: [(2, "near-duplicate")]}


def test_copies_share_their_neighbours():
    picture = [0, 0, 1, 1, *range(2, 8)]
    assert grouped([(0, 1)], [(1, 2)], picture=picture) == {
        0: [(1, "identical"), (2, "near-duplicate"), (3, "near-duplicate")],
    }
    assert grouped([], [], picture=picture, files=False) == {
        0: [(1, "similar")],
        2: [(3, "similar")],
    }


def test_only_the_tiers_asked_for_count():
    picture = [0, 0, *range(1, 9)]
    pairs = {"near": [(0, 1)], "similar": [(0, 2)], "picture": picture}
    assert grouped(**pairs, loosest="identical") == {0: [(1, "identical")]}
    found = grouped(**pairs, loosest="near-duplicate")
    assert found == {0: [(1, "identical"), (2, "near-duplicate")]}


def test_distinct_images_share_no_group():
    near = list(combinations(range(4), 2))
    assert grouped(near, [], apart=[(0, 1)]) == {
        0: [(2, "near-duplicate"), (3, "near-duplicate")],
    }
    # Both resemble the best, and still one of them has to go elsewhere.
    assert grouped(near, [], apart=[(2, 3)]) == {
        0: [(1, "near-duplicate"), (2, "near-duplicate")],
    }


some_pairs = st.lists(
    st.tuples(st.integers(0, N - 1), st.integers(0, N - 1)).filter(lambda pair: pair[0] != pair[1]),
    max_size=25,
)


@given(
    near=some_pairs,
    similar=some_pairs,
    apart=some_pairs,
    ranks=st.permutations(range(N)),
    picture=st.lists(st.integers(0, N - 1), min_size=N, max_size=N),
)
def test_groups_keep_their_promises(near, similar, apart, ranks, picture):
    found = grouped(near, similar, picture=picture, ranks=ranks, apart=apart)

    def resembles(one, other, pairs):
        ends = picture[one], picture[other]
        return ends in pairs or ends[::-1] in pairs

    def tier_of(one, other):
        if picture[one] == picture[other]:
            return "identical"
        if resembles(one, other, near):
            return "near-duplicate"
        return "similar" if resembles(one, other, similar) else None

    def are_apart(one, other):
        return (one, other) in apart or (other, one) in apart

    members = [image for keep, others in found.items() for image in (keep, *dict(others))]
    assert len(members) == len(set(members))
    for keep, others in found.items():
        # No chaining: each resembles the one to keep, in its own tier or a closer one.
        for image, tier in others:
            closest = tier_of(keep, image)
            assert closest is not None and TIERS.index(closest) <= TIERS.index(tier)
            assert ranks[image] > ranks[keep]
        for one, other in combinations((keep, *dict(others)), 2):
            assert not are_apart(one, other)
    if not apart:
        for one, other in combinations(range(N), 2):
            if tier_of(one, other):
                assert one in members or other in members
        # Whatever is closer than similar is decided before anything is.
        strict = grouped(near, [], picture=picture, ranks=ranks)
        for keep, others in strict.items():
            assert [o for o in found[keep] if o[1] != "similar"] == others


def test_pairs_are_unique_and_ordered():
    one, other = np.array([3, 1, 2]), np.array([1, 3, 4])
    pairs = unique_pairs([(one, other, np.array([0.5, 0.5, 0.25])), (one[:0], other[:0], one[:0])])
    assert (pairs.first.tolist(), pairs.second.tolist()) == ([1, 2], [3, 4])
    assert pairs.similarity.tolist() == [0.5, 0.25]
    assert unique_pairs([]).first.shape == (0,)


def flipped(rng, hashes, bits):
    """Hashes with so many random bits of each changed."""
    masks = [sum(1 << int(bit) for bit in rng.choice(64, bits, replace=False)) for _ in hashes]
    return hashes ^ np.array(masks, np.uint64)


def test_near_hashes_are_found_and_far_ones_are_not():
    rng = np.random.default_rng(0)
    hashes = rng.integers(0, 2**64, (600, 8), np.uint64)
    # Row 100 + i is row i turned some way, with i % 8 bits of noise, for i < 80.
    for i in range(80):
        hashes[100 + i, i % 7] = flipped(rng, hashes[i : i + 1, 0], i % 8)[0]
    one, other = pairs_of_hashes(hashes)
    found = set(zip(one.tolist(), other.tolist(), strict=True))
    expected = {
        (min(i, j), max(i, j)): bits
        for i in range(600)
        for j, bits in enumerate(np.bitwise_count(hashes[i, 0] ^ hashes).min(axis=1).tolist())
        if i != j and bits <= MOST_BITS
    }
    assert found <= expected.keys()
    assert {pair for pair, bits in expected.items() if bits <= 3} <= found
    assert len(found) >= 60  # of 80, by chance


def test_commonplace_hashes_are_not_all_compared():
    hashes = np.zeros((3000, 8), np.uint64)
    assert len(pairs_of_hashes(hashes)[0]) == 0
    assert len(pairs_of_hashes(np.zeros((5, 8), np.uint64))[0]) == 10
    assert len(pairs_of_hashes(np.zeros((0, 8), np.uint64))[0]) == 0


def test_which_image_is_kept():
    def column(*numbers):
        return np.array(numbers, np.int64)

    images = Images(
        ids=column(1, 2, 3, 4, 5),
        picture=column(0, 1, 2, 3, 4),
        sizes=column(500, 900, 500, -1, 500),
        times=column(30, 5, 10, -1, 10),
        widths=column(20, 10, 20, -1, 20),
        heights=column(20, 10, 20, -1, 20),
        contents=[b""] * 5,
        first=column(0, 1, 2, 3, 4),
    )

    def order(rule):
        return images.ids[np.argsort(images.ranks(rule))].tolist()

    assert order("best") == [3, 5, 1, 2, 4]
    assert order("oldest") == [2, 3, 5, 1, 4]
    assert order("largest") == [2, 3, 5, 1, 4]
    assert images.pictures_of(column(5, 9, 1, 0)).tolist() == [4, -1, 0, -1]
