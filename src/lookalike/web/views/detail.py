"""One image with its facts and neighbours, and two side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from lookalike import Collection, Item, StoredFile, StoredImage
from lookalike.web.api.parameters import RowId
from lookalike.web.problems import Problem
from lookalike.web.state import AppState, StateDep
from lookalike.web.views.formats import date_text, moment_text, size_text
from lookalike.web.views.rendering import is_fragment, page
from lookalike.web.views.search import find
from lookalike.web.views.terms import Search
from lookalike.web.views.tiles import Tile, tiles_of

router = APIRouter(include_in_schema=False)

StoredId = Annotated[int, Query(ge=-(2**63), lt=2**63)]
_NEIGHBOURS = 12
_SHOWN_BY_BROWSERS = (".jpg", ".jpeg", ".png", ".webp", ".gif", ".avif", ".bmp")
_TOLD = ("width", "height", "file_size", "folder", "format", "tags")
"""Attributes that are shown in other ways."""
_SMALL = 700
"""Pixels; smaller images are not enlarged."""


@dataclass(frozen=True)
class Detail:
    """An image and what is known of it.

    Attributes:
        tile: The image.
        file: Its file, if any.
        attributes: All of them.
    """

    tile: Tile
    file: StoredFile | None
    attributes: Mapping[str, Any]

    @property
    def dimensions(self) -> tuple[int, int] | None:
        """Width and height in pixels, if known."""
        width, height = self.attributes.get("width"), self.attributes.get("height")
        if isinstance(width, int) and isinstance(height, int):
            return width, height
        return None

    @property
    def is_small(self) -> bool:
        """Whether the image would look coarse if it filled the screen."""
        return self.dimensions is not None and max(self.dimensions) < _SMALL

    @property
    def full(self) -> str:
        """The URL of the file, if browsers show its kind; "" otherwise."""
        path = self.tile.path
        return self.tile.file if path and path.suffix.lower() in _SHOWN_BY_BROWSERS else ""

    @property
    def tags(self) -> list[str]:
        """The attribute `tags`."""
        found = self.attributes.get("tags") or []
        return [str(tag) for tag in (found if isinstance(found, list) else [found])]

    @property
    def others(self) -> list[tuple[str, str]]:
        """Names and values of the other attributes."""
        return [
            (name.replace("_", " "), _shown(value))
            for name, value in self.attributes.items()
            if name not in _TOLD
        ]


@router.get("/image/{row_id}")
async def show(request: Request, state: StateDep, row_id: RowId) -> Response:
    """Show one image; for htmx, without the page around it."""
    search = Search.of(request.query_params)
    images = await state.collection(search.collection)
    detail = await state.work.run(_detail, state, images, search, row_id)
    if is_fragment(request):
        return page(request, "detail/detail.html", search=search, detail=detail, beside=None)
    beside = await _beside(state, images, search, row_id)
    return page(request, "detail/page.html", search=search, detail=detail, beside=beside)


@router.get("/parts/neighbours/{row_id}")
async def neighbours(request: Request, state: StateDep, row_id: RowId) -> Response:
    """Show the most similar images."""
    search = Search.of(request.query_params)
    images = await state.collection(search.collection)
    ask = partial(images.search, k=_NEIGHBOURS, include=["attributes"])
    found = await state.work.run(ask, StoredImage(row_id))
    tiles = await state.work.run(partial(tiles_of, collection=search.collection), state, found)
    return page(request, "detail/neighbours.html", search=search, tiles=tiles)


@router.get("/compare")
async def compare(request: Request, state: StateDep, a: StoredId, b: StoredId) -> Response:
    """Show two images side by side."""
    search = Search.of(request.query_params)
    images = await state.collection(search.collection)
    pair = [await state.work.run(_detail, state, images, search, each) for each in (a, b)]
    similarity = await state.work.run(_similarity, images, a, b)
    return page(
        request,
        "detail/compare.html",
        search=search,
        pair=pair,
        facts=[_facts(*pair), _facts(*reversed(pair))],
        similarity=similarity,
    )


def _detail(state: AppState, images: Collection, search: Search, row_id: int) -> Detail:
    items = images.get([row_id], include=["attributes"])
    if not items:
        raise Problem(404, f"there is no image {row_id} in {images.name}")
    file = images.files([row_id]).get(row_id)
    (tile,) = tiles_of(state, items, collection=search.collection)
    return Detail(tile, file, items[0].attributes)


async def _beside(
    state: AppState, images: Collection, search: Search, row_id: int
) -> tuple[int | None, int | None]:
    """Return the images before and after in the search's first page, or else by id."""
    results = await find(state, search)
    ids = [tile.id for tile in results.tiles]
    if row_id in ids:
        at = ids.index(row_id)
        return ids[at - 1] if at else None, ids[at + 1] if at + 1 < len(ids) else None
    near = [*range(row_id - 50, row_id), *range(row_id + 1, row_id + 51)]
    there = [each.id for each in await state.work.run(images.records, near)]
    before = min((each for each in there if each > row_id), default=None)
    return before, max((each for each in there if each < row_id), default=None)


def _similarity(images: Collection, a: int, b: int) -> float | None:
    """Return the similarity of two stored images, by the collection's metric."""
    items: dict[int, Item] = {each.id: each for each in images.get([a, b], include=["embedding"])}
    one, other = items[a].embedding, items[b].embedding
    if one is None or other is None:
        return None
    x, y = one.astype(np.float64), other.astype(np.float64)
    if images.metric == "euclidean":
        return -float(np.linalg.norm(x - y))
    product = float(x @ y)
    if images.metric == "dot":
        return product
    return min(1.0, product / float(np.linalg.norm(x) * np.linalg.norm(y)))


def _facts(detail: Detail, other: Detail) -> list[tuple[str, str, bool]]:
    """Return (name, value, whether the other image has another one)."""
    told, others = _told(detail), _told(other)
    return [(name, value, others.get(name) not in (None, value)) for name, value in told.items()]


def _told(detail: Detail) -> dict[str, str]:
    told = {}
    if detail.dimensions:
        told["Size"] = "{} \u00d7 {}".format(*detail.dimensions)
    if detail.file:
        told["File"] = size_text(detail.file.size)
        told["Date"] = date_text(detail.file.modified)
    return {**told, **dict(detail.others)}


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else moment_text(str(value))
