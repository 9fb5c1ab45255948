"""Look through duplicates, group by group."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, get_args
from urllib.parse import urlencode

from fastapi import APIRouter, Depends, Request
from starlette.responses import RedirectResponse, Response

from lookalike import Collection, DuplicateImage, KeepRule, Tier
from lookalike.web import duplicates
from lookalike.web.finding import FoundDuplicates, FoundGroup, start_find
from lookalike.web.jobs import Job
from lookalike.web.problems import Problem
from lookalike.web.state import AppState, StateDep, require_writer
from lookalike.web.uploads import Form, read_form
from lookalike.web.views.rendering import is_fragment, page

router = APIRouter(include_in_schema=False)
_WRITES = [Depends(require_writer)]

GROUPS = 12
"""On a page; the next ones come when the last is near."""
MOST_IMAGES = 24
"""Of a group that are shown: only what is shown can be removed."""
_TIERS: tuple[Tier, ...] = get_args(Tier)
_RULES: tuple[KeepRule, ...] = get_args(KeepRule)

_NAMES: dict[Tier, str] = {
    "identical": "Identical",
    "near-duplicate": "Near-duplicates",
    "similar": "Similar",
}
_EXPLAINED: dict[Tier, str] = {
    "identical": "The same bytes in several files.",
    "near-duplicate": "Also resized, recompressed, cropped a little, turned or mirrored.",
    "similar": "Also other pictures of the same thing; takes longer.",
}
_LIKENESS: dict[Tier, str] = {
    "identical": "The same bytes",
    "near-duplicate": "The same picture",
    "similar": "Similar",
}


@dataclass(frozen=True)
class Shown:
    """What the page shows.

    Attributes:
        collection: Name of the collection.
        rows: Number of its images.
        search: The last search, running or not; None if there was none.
        removal: The last removal of all copies, likewise.
        found: Its result, once it is done.
        tier: Only groups of this tier are shown; empty for all.
        groups: Those of this page.
        dates: When files were changed, by id of their images.
        is_last: Whether no groups come after them.
    """

    collection: str
    rows: int
    search: Job | None = None
    removal: Job | None = None
    found: FoundDuplicates | None = None
    tier: str = ""
    groups: Sequence[FoundGroup] = ()
    dates: Mapping[int, datetime] | None = None
    is_last: bool = True

    @property
    def tiers(self) -> dict[str, int]:
        """How many open groups there are of each tier."""
        counts = Counter(each.group.tier for each in self.found.open()) if self.found else {}
        return {tier: counts[tier] for tier in _TIERS if counts.get(tier)}


@router.get("/duplicates")
async def show(
    request: Request,
    state: StateDep,
    collection: str | None = None,
    tier: str = "",
    after: str = "",
) -> Response:
    """Show the groups of the last search; htmx asks for those after another."""
    if tier and tier not in _TIERS:
        raise Problem(422, f"there is no tier {tier[:40]!r}: give one of {', '.join(_TIERS)}")
    shown = await state.work.run(_shown, state, collection, tier, after)
    template = "duplicates/groups.html" if is_fragment(request) else "duplicates/page.html"
    return _page(request, template, shown=shown)


@router.post("/duplicates/search", dependencies=_WRITES)
async def search(request: Request, state: StateDep, collection: str | None = None) -> Response:
    """Begin a search."""
    options = _options(await read_form(request, state.settings.limits))
    await state.work.run(lambda: start_find(state, collection, **options))
    return _again(request, collection)


@router.get("/parts/duplicates/{name}")
async def show_group(
    request: Request, state: StateDep, name: str, collection: str | None = None
) -> Response:
    """Show one group anew."""

    def read() -> tuple[FoundGroup, Mapping[int, datetime]]:
        images, found = _found(state, collection)
        group = found.get(name)
        return group, _dates(images, [group])

    return _group(request, *await state.work.run(read))


@router.post("/duplicates/{name}/trash", dependencies=_WRITES)
async def trash(
    request: Request, state: StateDep, name: str, collection: str | None = None
) -> Response:
    """Move the images of a group that are shown and not kept to the trash."""
    form = await read_form(request, state.settings.limits)
    try:
        keep, seen = (set(map(int, form.all(field))) for field in ("keep", "shown"))
    except ValueError as error:
        raise Problem(422, "an id is not a number") from error

    def work() -> tuple[FoundGroup, Mapping[int, datetime]]:
        images, found = _found(state, collection)
        hidden = {image.id for image in found.get(name).images} - seen
        group = duplicates.remove(state, images, found, name, sorted(keep | hidden))
        return group, _dates(images, [group])

    return _group(request, *await state.work.run(work))


@router.post("/duplicates/{name}/distinct", dependencies=_WRITES)
async def distinct(
    request: Request, state: StateDep, name: str, collection: str | None = None
) -> Response:
    """Record that the images of a group are no duplicates."""

    def work() -> FoundGroup:
        images, found = _found(state, collection)
        return duplicates.mark_distinct(state, images, found, name)

    return _group(request, await state.work.run(work), {})


@router.post("/duplicates/copies/trash-all", dependencies=_WRITES)
async def trash_copies(
    request: Request, state: StateDep, collection: str | None = None
) -> Response:
    """Begin to move all copies of identical bytes to the trash."""

    def work() -> None:
        images, found = _found(state, collection)
        duplicates.start_removal(state, images, found)

    await state.work.run(work)
    return _again(request, collection)


def _group(request: Request, group: FoundGroup, dates: Mapping[int, datetime]) -> Response:
    return _page(request, "duplicates/group.html", found=group, dates=dates)


def _page(request: Request, template: str, **context: Any) -> Response:
    words: dict[str, Any] = {"names": _NAMES, "explained": _EXPLAINED, "likeness": _LIKENESS}
    return page(
        request,
        template,
        most=MOST_IMAGES,
        copies=duplicates.copies,
        is_largest=_is_largest,
        is_heaviest=_is_heaviest,
        **words,
        **context,
    )


def _is_largest(images: Sequence[DuplicateImage], image: DuplicateImage) -> bool:
    """Whether an image has more pixels than the smallest, and no other has more."""
    areas = [(each.width or 0) * (each.height or 0) for each in images]
    return min(areas) < max(areas) == (image.width or 0) * (image.height or 0)


def _is_heaviest(images: Sequence[DuplicateImage], image: DuplicateImage) -> bool:
    """Whether an image's file is larger than the smallest, and no other is larger."""
    sizes = [each.size or 0 for each in images]
    return min(sizes) < max(sizes) == image.size


def _again(request: Request, collection: str | None) -> Response:
    if is_fragment(request):
        return Response(status_code=204, headers={"HX-Refresh": "true"})
    query = f"?{urlencode({'collection': collection})}" if collection else ""
    return RedirectResponse(f"/duplicates{query}", 303)


def _shown(state: AppState, name: str | None, tier: str, after: str) -> Shown:
    collection = state.collections.open(name)
    if not collection.exists:
        if name and name != state.collections.default:
            collection = state.collections.get(name)
        else:
            return Shown(state.collections.default, 0)
    search = state.jobs.latest("duplicates", collection.name)
    removal = state.jobs.latest("removal", collection.name)
    found = search.result if search is not None and not search.is_running else None
    groups = found.open(tier, after=after) if found else []
    part = groups[:GROUPS]
    return Shown(
        collection.name,
        collection.count(),
        search,
        removal,
        found,
        tier,
        part,
        _dates(collection, part),
        len(groups) <= GROUPS,
    )


def _found(state: AppState, name: str | None) -> tuple[Collection, FoundDuplicates]:
    """Return a collection and its last result. Raises Problem 404 if there is none."""
    collection = state.collections.get(name)
    job = state.jobs.latest("duplicates", collection.name)
    if job is None or job.result is None:
        raise Problem(404, "the result of this search is gone: search again")
    return collection, job.result


def _dates(collection: Collection, groups: Sequence[FoundGroup]) -> dict[int, datetime]:
    ids = [image.id for group in groups for image in group.images[:MOST_IMAGES]]
    return {row_id: file.modified for row_id, file in collection.files(ids).items()}


def _options(form: Form) -> dict[str, Any]:
    """Return options of a search. Raises Problem 422."""
    tier, keep = form.get("tier", "near-duplicate"), form.get("keep", "best")
    least = form.get("min_similarity").strip()
    if tier not in _TIERS or keep not in _RULES:
        raise Problem(422, "choose a tier and a rule that there are")
    if tier != "similar" or not least:
        return {"tier": tier, "keep": keep}
    try:
        return {"tier": tier, "keep": keep, "min_similarity": float(least)}
    except ValueError as error:
        raise Problem(422, f"the similarity is {least[:40]!r}; give a number") from error
