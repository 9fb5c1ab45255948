"""Duplicates found: candidates from the index and from hashes, judged, grouped, described."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from lookalike.core.arguments import check_number
from lookalike.core.errors import InputError
from lookalike.core.types import (
    KEEP_RULES,
    ORIENTATIONS,
    TIERS,
    DuplicateGroup,
    DuplicateImage,
    KeepRule,
    Metric,
    Orientations,
    Tier,
)
from lookalike.core.vectors import similarity
from lookalike.database.table import VectorTable
from lookalike.duplicates.alike import alike_drawings
from lookalike.duplicates.distinct import distinct_images
from lookalike.duplicates.groups import Group, Resemblances, make_groups
from lookalike.duplicates.hashes import confirmed, similar_hashes
from lookalike.duplicates.in_memory import Reach
from lookalike.duplicates.neighbours import MOST_COMPARED, Pairs, Stage, neighbours, unique_pairs
from lookalike.duplicates.pictures import Images, preference_of, read_images
from lookalike.duplicates.thumbnails import make_missing_thumbnails
from lookalike.duplicates.workers import workers
from lookalike.index.rows import records
from lookalike.index.store import IndexStore
from lookalike.models.measured import Measured

_ROWS = 1000


@dataclass(frozen=True)
class DuplicateOptions:
    """min_similarity: of the tier "similar", None for what was measured of the model. tier: the
    loosest that is looked for. keep: which image of a group is the one to keep. orientations: which
    near-duplicates may be turned or mirrored. prefer: folders whose images are kept, whatever keep
    says, the most preferred first. most_compared: up to so many pictures all are compared with one
    another; the index is asked about more. index_memory: the most memory to take for it, in bytes;
    None: a quarter of what is free.
    """

    min_similarity: float | None = None
    tier: Tier = "similar"
    keep: KeepRule = "best"
    orientations: Orientations = "auto"
    prefer: tuple[Path, ...] = ()
    most_compared: int = MOST_COMPARED
    index_memory: int | None = None

    def check(self, metric: Metric, known: Measured | None, owner: str) -> None:
        """known: what was measured of owner. Raise InputError for an option that cannot be used."""
        if self.tier not in TIERS:
            raise InputError(f"there is no tier {self.tier!r}: give {', '.join(TIERS)}")
        if self.keep not in KEEP_RULES:
            raise InputError(f"cannot keep {self.keep!r}: give {', '.join(KEEP_RULES)}")
        if self.orientations not in ORIENTATIONS:
            raise InputError(
                f"there are no orientations {self.orientations!r}: give {', '.join(ORIENTATIONS)}"
            )
        least = self.min_similarity
        if least is not None:
            check_number("min_similarity", least)
        if self.tier != "similar" and least is not None:
            raise InputError(f"min_similarity has no meaning without the tier similar: {least}")
        if known is None and self.tier == "similar" and least is None:
            raise InputError(
                f"no usual similarity was measured for {owner}: give --min-similarity (`lookalike "
                "search` shows that of pictures you know), or --tier near-duplicate"
            )
        if metric == "cosine" and least is not None and not 0 < least <= 1:
            raise InputError(f"min_similarity is {least}; give more than 0 and at most 1")

    def enough(self, known: Measured | None) -> float:
        """From which similarity on images are similar: infinite where that is not asked for."""
        if self.tier != "similar":
            return np.inf
        if self.min_similarity is not None:
            return self.min_similarity
        assert known is not None
        return known.similar


def find_duplicates(
    index: IndexStore,
    options: DuplicateOptions,
    *,
    known: Measured | None,
    notify: Callable[[str], None],
    stage: Stage,
) -> list[DuplicateGroup]:
    """Return the groups of duplicates, those of the strictest tier first, then the largest.

    known: what was measured of its model.
    """
    if index.table.has_files:
        unseen = make_missing_thumbnails(index.table, stage("Looking at files"))
        if unseen:
            files = "1 file is" if unseen == 1 else f"{unseen:,} files are"
            notify(
                f"{files} gone, changed or unreadable, and compared by bytes and embedding only; "
                "add the folder again, with --prune for what is gone."
            )
    images = read_images(index.table)
    ranks = images.ranks(options.keep, preference_of(index.table, images, options.prefer))
    resemblances = Resemblances(images.picture.tolist(), images.has_file.tolist())
    if options.tier != "identical":
        with workers() as crew:
            _resemble(index, images, options, known, resemblances, crew, notify, stage)
    apart = _by_place(images, distinct_images(index.table))
    groups = make_groups(resemblances, ranks.tolist(), apart, options.tier)
    return _described(index.table, images, groups)


def _resemble(
    index: IndexStore,
    images: Images,
    options: DuplicateOptions,
    known: Measured | None,
    resemblances: Resemblances,
    crew: Executor,
    notify: Callable[[str], None],
    stage: Stage,
) -> None:
    has_file = images.has_file[images.first]
    nearest = similar = unique_pairs([])
    if options.tier == "similar" or has_file.any():
        # Where nothing was measured each is compared with its nearest, however near they are.
        least, all_from = (-np.inf, np.inf) if known is None else (known.near, known.similar)
        if not has_file.any():  # only files are compared
            least = all_from = np.inf
        reach = Reach(least, all_from, options.enough(known))
        nearest, similar = neighbours(
            *(index, images, crew, reach, options.most_compared, options.index_memory),
            notify=notify,
            stage=stage,
        )
    if has_file.any():
        # These do not depend on the tier, so that the groups are the same whichever is asked for.
        both = nearest.where(has_file[nearest.first] & has_file[nearest.second])
        progress = stage("Looking for drawings")
        looks = [
            similar_hashes(index.table, images),
            alike_drawings(index.table, images, np.flatnonzero(has_file), crew, progress),
        ]
        unscored = [(one, other, np.zeros(len(one))) for one, other in looks]
        candidates = unique_pairs([both, *unscored])
        progress = stage("Comparing pictures")
        same = candidates.where(
            confirmed(
                index.table,
                images,
                candidates.first,
                candidates.second,
                crew,
                orientations=options.orientations,
                progress=progress,
            )
        )
        resemblances.add("near-duplicate", _ends(same))
    resemblances.add("similar", _ends(similar))


def _ends(found: Pairs) -> Iterable[tuple[int, int]]:
    return zip(found.first.tolist(), found.second.tolist(), strict=True)


def _by_place(images: Images, distinct: Sequence[tuple[int, int]]) -> dict[int, set[int]]:
    """Images by place that are decided to be distinct, both ways."""
    places = {row_id: place for place, row_id in enumerate(images.ids.tolist())}
    apart: dict[int, set[int]] = defaultdict(set)
    for one, other in distinct:
        if one in places and other in places:
            apart[places[one]].add(places[other])
            apart[places[other]].add(places[one])
    return apart


# Description.


def _described(table: VectorTable, images: Images, groups: Sequence[Group]) -> list[DuplicateGroup]:
    described: list[DuplicateGroup] = []
    batch: list[Group] = []
    for place, group in enumerate(groups, start=1):
        batch.append(group)
        if place == len(groups) or sum(1 + len(each.others) for each in batch) >= _ROWS:
            described += _describe(table, images, batch)
            batch = []
    return sorted(described, key=lambda group: (TIERS.index(group.tier), -len(group.duplicates)))


def _describe(table: VectorTable, images: Images, groups: Sequence[Group]) -> list[DuplicateGroup]:
    places = [place for group in groups for place in (group.keep, *dict(group.others))]
    ids = images.ids[places].tolist()
    originals = _originals(images, groups)
    known = {record.id: record for record in records(table, ids)}
    found, embeddings = table.usable_embeddings(ids)
    vectors = dict(zip(found.tolist(), embeddings, strict=True))

    def image(place: int, keep: int, tier: Tier | None) -> DuplicateImage:
        row_id, kept_id = int(images.ids[place]), int(images.ids[keep])
        score = similarity(vectors[kept_id], vectors[row_id][np.newaxis], table.metric)
        record = known[row_id]
        return DuplicateImage(
            id=row_id,
            image_name=record.image_name,
            path=record.path,
            content_hash=images.contents[images.picture[place]] if record.path else None,
            size=_known(images.sizes[place]),
            width=_known(images.widths[place]),
            height=_known(images.heights[place]),
            similarity=float(score[0]),
            tier="identical" if place in originals else tier,
            copy_of=originals.get(place),
        )

    def is_there(place: int) -> bool:
        return int(images.ids[place]) in known and int(images.ids[place]) in vectors

    return [
        DuplicateGroup(
            image(group.keep, group.keep, None),
            tuple(image(p, group.keep, tier) for p, tier in group.others if is_there(p)),
        )
        for group in groups
        if is_there(group.keep) and any(is_there(place) for place, _ in group.others)
    ]


def _originals(images: Images, groups: Sequence[Group]) -> dict[int, int]:
    """Return, for duplicates with the bytes of a better one of their group, the id of that one."""
    originals: dict[int, int] = {}
    for group in groups:
        best = {int(images.picture[group.keep]): group.keep}
        for place, _ in group.others:
            first = best.setdefault(int(images.picture[place]), place)
            if images.has_file[place] and first not in (place, group.keep):
                originals[place] = int(images.ids[first])
    return originals


def _known(number: np.int64) -> int | None:
    return None if number < 0 else int(number)
