"""Pairs into groups that do not chain: each image resembles the one to keep, not just another."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from typing import NamedTuple

from lookalike.core.types import TIERS, Tier


class Group(NamedTuple):
    """An image to keep and those that resemble it, by number, each with the tier."""

    keep: int
    others: list[tuple[int, Tier]]


class Resemblances:
    """Which images resemble which, by pictures: images of one picture have the same neighbours.

    picture: of each image; is_file: whether it has a file, and so its copies are of equal bytes.
    """

    def __init__(self, picture: list[int], is_file: list[bool]) -> None:
        self.picture = picture
        self._is_file = is_file
        self._images: dict[int, list[int]] = defaultdict(list)
        for image, number in enumerate(picture):
            self._images[number].append(image)
        self._pictures: dict[Tier, dict[int, set[int]]] = {}

    def add(self, tier: Tier, pairs: Iterable[tuple[int, int]]) -> None:
        """Make pictures resemble one another in this tier."""
        neighbours = self._pictures.setdefault(tier, defaultdict(set))
        for one, other in pairs:
            neighbours[one].add(other)
            neighbours[other].add(one)

    def of(self, image: int, tier: Tier) -> Iterator[int]:
        """The images that resemble this one in exactly this tier."""
        own = self.picture[image]
        if tier == ("identical" if self._is_file[image] else "similar"):
            yield from (copy for copy in self._images[own] if copy != image)
        for picture in self._pictures.get(tier, {}).get(own, ()):
            yield from self._images[picture]


def make_groups(
    resemblances: Resemblances,
    ranks: Sequence[int],
    distinct: Mapping[int, Set[int]],
    loosest: Tier = "similar",
) -> list[Group]:
    """Group images: the best by rank is kept, and takes what resembles it and is not taken yet.

    Identical and near-duplicate images come first, so that no similar one keeps them apart.
    distinct: images that may not be in one group. loosest: the last tier that counts.

    Of two images that resemble one another at least one is in a group, unless `distinct` keeps it
    out of that of the other.
    """
    order = sorted(range(len(ranks)), key=ranks.__getitem__)
    groups: dict[int, Group] = {}
    taken: set[int] = set()
    for tiers in (TIERS[:2], TIERS[2:]):
        wanted = [tier for tier in tiers if TIERS.index(tier) <= TIERS.index(loosest)]
        for image in order:
            if image in taken:
                continue
            group = groups.get(image) or Group(image, [])
            for tier in wanted:
                # Looked up one by one: subtracting groups.keys() would go through all of them.
                free = {
                    other
                    for other in resemblances.of(image, tier)
                    if other not in taken and other not in groups and other != image
                }
                for other in sorted(free, key=ranks.__getitem__):
                    # A better one may be left of the tiers before, where this has a group by then.
                    is_worse = ranks[other] > ranks[image]
                    if is_worse and not _is_apart(other, group, distinct):
                        group.others.append((other, tier))
                        taken.add(other)
            if group.others:
                groups[image] = group
    return [groups[image] for image in order if image in groups]


def _is_apart(image: int, group: Group, distinct: Mapping[int, Set[int]]) -> bool:
    apart = distinct.get(image)
    if not apart:
        return False
    return group.keep in apart or any(other in apart for other, _ in group.others)
