"""Filters with the numbers of images: what a menu of the search view shows when it is opened."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter, Request
from starlette.responses import Response

from lookalike import AttributeStatus, Collection
from lookalike.web.state import AppState, StateDep
from lookalike.web.views.rendering import page
from lookalike.web.views.terms import BUILT_IN, Search

router = APIRouter(include_in_schema=False)

_MOST_VALUES = 200
_RANGED = ("number", "taken_at")


@dataclass(frozen=True)
class Value:
    """A value of a filter.

    Attributes:
        text: As the URL has it.
        rows: How many images have it, of those that pass the other filters; None if unknown.
        is_chosen: Whether it is one of the filter's values.
    """

    text: str
    rows: int | None
    is_chosen: bool


@router.get("/parts/filters")
async def names(request: Request, state: StateDep) -> Response:
    """Show the attributes by which images can be filtered."""
    search = Search.of(request.query_params)
    images = await state.collection(search.collection)
    found = await state.work.run(_attributes, images)
    return page(request, "search/filters.html", search=search, attributes=found)


@router.get("/parts/filter")
async def values(request: Request, state: StateDep, name: str) -> Response:
    """Show the values of one filter, with the numbers of images."""
    search = Search.of(request.query_params)
    if name == "date":
        return page(request, "search/filter-date.html", search=search)
    images = await state.collection(search.collection)
    kind = "text" if name in BUILT_IN else await state.work.run(_kind, images, name)
    if kind in _RANGED:
        return page(request, "search/filter-range.html", name=name, range=_range(search, name))
    found = await state.work.run(_values, state, search, name)
    return page(request, "search/filter-values.html", name=name, values=found)


def _attributes(images: Collection) -> list[AttributeStatus]:
    """Return the attributes that some image has, those of the most images first."""
    used = [each for each in images.attributes.list() if each.rows and each.name != "folder"]
    return sorted(used, key=lambda each: (-each.rows, each.name))


def _kind(images: Collection, name: str) -> str:
    kinds = {each.name: each.kind for each in images.attributes.list()}
    return kinds.get(name, "text")


def _range(search: Search, name: str) -> tuple[str, str]:
    """Return the ends of the range that is asked for."""
    for value in search.values(name):
        least, dots, most = value.partition("..")
        if dots:
            return least, most
    return "", ""


def _values(state: AppState, search: Search, name: str) -> list[Value]:
    """Return the most frequent values, and those that are chosen."""
    images = state.collections.get(search.collection or None)
    chosen = search.values(name)
    counts = images.attributes.counts(
        BUILT_IN.get(name, name), where=search.where(but=name) or None, limit=_MOST_VALUES
    )
    known = {_text(each.value): each.rows for each in counts}
    missing = [Value(text, None, True) for text in chosen if text not in known]
    return missing + [Value(text, rows, text in chosen) for text, rows in known.items()]


def _text(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value:g}" if isinstance(value, float) else str(value)
