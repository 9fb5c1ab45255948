"""Groups of duplicates as one self-contained HTML page with previews."""

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from lookalike.core.errors import ImageError
from lookalike.core.output_files import DUPLICATES_REPORT
from lookalike.core.threads import available_cores
from lookalike.core.types import TIERS, DuplicateGroup, DuplicateImage
from lookalike.images.decode import open_image
from lookalike.pages.page import preview_of, write_page

MOST_IMAGES = 2000
"""Maximum number of previews that browsers can handle; groups after it are only counted."""

_PREVIEW_PIXELS = 240


@dataclass(frozen=True, slots=True)
class _Tile:
    image: DuplicateImage
    preview: str | None
    missing: str


def write_report(
    file: Path, collection: str, groups: Sequence[DuplicateGroup], *, force: bool = False
) -> None:
    """Write the page. Raises InputError if the file cannot be written."""
    shown = _shown(groups)
    tiles = _tiles([image for group in shown for image in (group.keep, *group.duplicates)])
    duplicates = [image for group in groups for image in group.duplicates]
    write_page(
        file,
        "duplicates.html",
        DUPLICATES_REPORT,
        force=force,
        collection=collection,
        groups=[
            (group, [next(tiles) for _ in range(1 + len(group.duplicates))]) for group in shown
        ],
        n_groups=len(groups),
        n_images=len(duplicates),
        counts=[(tier, Counter(image.tier for image in duplicates)[tier]) for tier in TIERS],
        size=sum(image.size or 0 for image in duplicates if image.tier != "similar"),
        left_out=len(groups) - len(shown),
    )


def _shown(groups: Sequence[DuplicateGroup]) -> list[DuplicateGroup]:
    shown: list[DuplicateGroup] = []
    images = 0
    for group in groups:
        images += 1 + len(group.duplicates)
        if shown and images > MOST_IMAGES:
            break
        shown.append(group)
    return shown


def _tiles(images: Sequence[DuplicateImage]) -> Iterator[_Tile]:
    with ThreadPoolExecutor(available_cores()) as threads:
        yield from threads.map(_tile, images)


def _tile(image: DuplicateImage) -> _Tile:
    preview, missing = None, "only its embedding is stored"
    if image.path is not None:
        try:
            preview = preview_of(
                open_image(image.path, short_side=_PREVIEW_PIXELS), _PREVIEW_PIXELS
            )
        except ImageError as error:
            missing = str(error).removeprefix(f"{image.path}: ")
    return _Tile(image, preview, missing)
