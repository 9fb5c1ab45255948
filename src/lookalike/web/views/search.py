"""The search view: results of a query, or all images when nothing is asked for."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from lookalike import Collection, ImageError, InputError, Match, Mix, ModelError
from lookalike.web.state import AppState, StateDep
from lookalike.web.views.rendering import is_fragment, page
from lookalike.web.views.terms import Search, Term
from lookalike.web.views.tiles import Tile, tiles_of
from lookalike.web.work import Run

router = APIRouter(include_in_schema=False)

PAGE = 60
"""Images of one page; the next is fetched while the reader scrolls."""
_LONG = re.compile("x'([0-9a-f]{80,})'")
_MOST = 10_000
_ORDERED = 500
"""So many of the most similar images are ordered by something else."""
_BROWSED = {"-added": "-id", "-date": "-modified", "date": "modified", "name": "image_name"}


@dataclass(frozen=True)
class Results:
    """A page of images.

    Attributes:
        tiles: The images, in order.
        next: Where the next page begins; None after the last.
        is_chance: Whether all are no more similar than chance; None if that is not known.
        problem: Why the query could not be answered, "" if it was.
        considered: So many of the most similar images were put in order; None for all that match.
    """

    tiles: Sequence[Tile] = ()
    next: int | None = None
    is_chance: bool | None = None
    problem: str = ""
    considered: int | None = None

    @property
    def best(self) -> float | None:
        """The largest similarity of the page."""
        known = [tile.similarity for tile in self.tiles if tile.similarity is not None]
        return max(known, default=None)


@router.get("/")
async def show(request: Request, state: StateDep) -> Response:
    """Show the page; for htmx, only what changes between searches."""
    search = Search.of(request.query_params)
    images = await state.work.run(state.collections.open, search.collection or None)
    results = await find(state, search) if images.exists else Results()
    template = "search/view.html" if is_fragment(request) else "search/page.html"
    return page(
        request,
        template,
        status=422 if results.problem else 200,
        search=search,
        results=results,
        images=images,
        chips=await state.work.run(_chips, images, search) if search.terms else [],
        slider_end=_slider_end(images, results),
    )


@router.get("/parts/tiles")
async def more(
    request: Request,
    state: StateDep,
    offset: Annotated[int, Query(ge=0, lt=2**31)],
    after: str = "",
) -> Response:
    """Show a further page of images. after: the level of the last image that is shown."""
    search = Search.of(request.query_params)
    results = await find(state, search, offset)
    return page(request, "search/tiles.html", search=search, results=results, after=after)


@router.get("/parts/count")
async def count(request: Request, state: StateDep) -> Response:
    """Show how many images there are, or pass the filters."""
    search = Search.of(request.query_params)
    images = await state.collection(search.collection)
    number = await state.work.run(images.count, search.where() or None)
    return page(request, "search/count.html", search=search, number=number)


@router.get("/parts/sql")
async def sql(request: Request, state: StateDep) -> Response:
    """Show the SQL of a search, and how it ran."""
    search = Search.of(request.query_params)
    run = queue_of(state, search)
    statement, explanation = await run(_explained, state, search)
    shown = _LONG.sub(_shortened, statement)
    return page(
        request, "search/sql.html", statement=statement, shown=shown, explanation=explanation
    )


def _shortened(found: re.Match[str]) -> str:
    """Return bytes as a reader wants to see them."""
    size = len(found[1]) // 2
    return f"x'{found[1][:16]}\u2026 {size:,} bytes'"


async def find(state: AppState, search: Search, offset: int = 0) -> Results:
    """Return a page of the images that a search finds."""
    run = queue_of(state, search)
    try:
        return await run(_find, state, search, max(0, offset))
    except (InputError, ImageError, ModelError) as error:
        return Results(problem=str(error))


def queue_of(state: AppState, search: Search) -> Run:
    """Return what does the work of a search."""
    kinds = {term.kind for term in search.all_terms}
    return state.work.of(embeds=bool(kinds - {"id"}), fetches="url" in kinds)


def _find(state: AppState, search: Search, offset: int) -> Results:
    images = state.collections.get(search.collection or None)
    where = search.where() or None
    considered = None
    if not search.is_query:
        order = _BROWSED.get(search.order, "-id")
        found = images.browse(
            where=where, order_by=order, k=PAGE + 1, offset=offset, include=["attributes"]
        )
        tiles = tiles_of(state, found[:PAGE], collection=search.collection)
        return Results(tiles, offset + PAGE if len(found) > PAGE else None)
    if search.order in ("", "similarity", "-added"):
        matches = _matches(state, images, search, k=min(PAGE, _MOST - offset), offset=offset)
        following = offset + PAGE if len(matches) == PAGE and offset + PAGE < _MOST else None
    else:
        nearest = _matches(state, images, search, k=_ORDERED, order_by=_BROWSED[search.order])
        ordered = [match for match in nearest if match.level != "chance"] or nearest
        considered = _ORDERED if len(ordered) == _ORDERED else None
        matches = ordered[offset : offset + PAGE]
        following = offset + PAGE if offset + PAGE < len(ordered) else None
    levels = {match.level for match in matches if match.level}
    is_chance = None if not levels else levels == {"chance"}
    tiles = tiles_of(state, matches, collection=search.collection)
    return Results(tiles, following, is_chance, considered=considered)


def _matches(
    state: AppState, images: Collection, search: Search, **options: Any
) -> Sequence[Match]:
    query = _query(state, search)
    return images.search(query, **_options(search), include=["attributes"], **options)


def _options(search: Search) -> dict[str, Any]:
    return {"where": search.where() or None, "min_similarity": search.least}


def _explained(state: AppState, search: Search) -> tuple[str, Any]:
    images = state.collections.get(search.collection or None)
    query = _query(state, search)
    options = {**_options(search), "k": PAGE}
    return str(images.search_sql(query, **options)), images.explain(query, **options)


def _query(state: AppState, search: Search) -> Mix:
    """Return the query; its images are decoded in processes of their own."""
    pictures, pixels = state.pictures(), state.pixels()

    def upload(content_hash: str) -> object:
        image = state.query_images.image(content_hash)
        pixels.count(image)
        return image

    return search.query(upload, pictures.at)


def _slider_end(images: Collection, results: Results) -> tuple[float, float] | None:
    """Return the least and the largest value of the slider; None where it makes no sense."""
    if images.metric == "cosine":
        return 0.0, 1.0
    known = [tile.similarity for tile in results.tiles if tile.similarity is not None]
    return (min(known), max(known)) if known else None


def _chips(images: Collection, search: Search) -> list[Chip]:
    ids = [int(term.value) for term in search.terms if term.kind == "id"]
    names = {
        str(record.id): record.path.name if record.path else record.image_name or str(record.id)
        for record in images.records(ids)
    }
    return [Chip.of(term, search, names) for term in search.all_terms]


@dataclass(frozen=True)
class Chip:
    """A term of the query as the page shows it.

    Attributes:
        term: The term.
        picture: The URL of a thumbnail, "" for words.
        label: Words, or what kind of image it is.
        without: The URL of the search without it.
    """

    term: Term
    picture: str
    label: str
    without: str

    @classmethod
    def of(cls, term: Term, search: Search, names: Mapping[str, str]) -> Chip:
        """Return the chip of a term; names: of stored images, by id."""
        collection = {"collection": search.collection} if search.collection else {}
        pictures = {
            "id": f"/api/v1/images/{term.value}/thumbnail?{urlencode(collection)}",
            "image": f"/query-images/{term.value}/thumbnail",
        }
        labels = {"id": names.get(term.value, "an image that is gone"), "image": "Your image"}
        label = labels.get(term.kind, term.value)
        return cls(term, pictures.get(term.kind, ""), label, search.without(term).url())

    @property
    def weights(self) -> list[float]:
        """The weights to choose from."""
        usual = {-2, -1, -0.5, -0.25, 0.25, 0.5, 1, 2, 3}
        return sorted({*usual, self.term.weight}, reverse=True)
