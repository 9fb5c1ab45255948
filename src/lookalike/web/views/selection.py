"""What is done with several images at once: tag, remove, trash, tell apart, export."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Sequence
from functools import partial
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Request
from pydantic import AfterValidator, BaseModel, Field
from starlette.responses import Response

from lookalike import Collection, Item, Removed
from lookalike.web.api.schemas import RowId
from lookalike.web.state import AppState, StateDep, require_writer
from lookalike.web.undo import Undo
from lookalike.web.uploads import utf8
from lookalike.web.views.rendering import page
from lookalike.web.views.terms import Search

router = APIRouter(include_in_schema=False)
_CHANGES = [Depends(require_writer)]

TAGS = "tags"
"""The attribute that holds tags."""
_MOST = 10_000
_MOST_KNOWN = 500
_TYPES = {"paths": "text/plain", "csv": "text/csv", "json": "application/json"}
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


Tag = Annotated[str, Field(max_length=1000), AfterValidator(utf8)]


class Chosen(BaseModel):
    """The selected images."""

    ids: Annotated[list[RowId], Field(min_length=1, max_length=_MOST)]


class Tagged(Chosen):
    """Tags to add to the selected images, and to remove from them."""

    add: Annotated[list[Tag], Field(max_length=50)] = []
    remove: Annotated[list[Tag], Field(max_length=50)] = []


class Exported(Chosen):
    """How to write the list of the selected images."""

    format: Literal["paths", "csv", "json"] = "paths"


@router.get("/parts/tags")
async def known_tags(request: Request, state: StateDep) -> Response:
    """Show the tags that images have, as suggestions."""
    tags = await state.work.run(_known_tags, await _images(request, state))
    return page(request, "selection/tags.html", tags=tags)


@router.post("/selection/tag", dependencies=_CHANGES)
async def tag(request: Request, state: StateDep, chosen: Tagged) -> Response:
    """Add and remove tags; what was there before comes back by Undo."""
    images = await _images(request, state)
    before, after = await state.work.run(_tag, images, chosen)
    what = f"{_count(len(after), 'image')} tagged"
    return _told(request, state, images, what, len(before), partial(_untag, images, before))


@router.post("/selection/remove", dependencies=_CHANGES)
async def remove(request: Request, state: StateDep, chosen: Chosen) -> Response:
    """Delete rows of the collection; their files stay."""
    images = await _images(request, state)
    removed = await state.work.run(partial(images.take_out, *chosen.ids))
    what = f"{_count(len(removed.ids), 'image')} removed from {images.name}"
    put_back = partial(_put_back, images, removed)
    return _told(request, state, images, what, len(removed.ids), put_back, removed.ids)


@router.post("/selection/trash", dependencies=_CHANGES)
async def trash(request: Request, state: StateDep, chosen: Chosen) -> Response:
    """Move files to the trash, and delete their rows."""
    images = await _images(request, state)
    removed = await state.work.run(partial(images.trash, *chosen.ids))
    what = f"{_count(len(removed.ids), 'image')} moved to the trash"
    if removed.failed:
        what += f"; {_count(len(removed.failed), 'stays', 'stay')}: {removed.failed[0].reason}"
    if removed.without_file:
        what += f"; {_count(len(removed.without_file), 'has', 'have')} no file"
    put_back = partial(_put_back, images, removed)
    return _told(request, state, images, what, len(removed.ids), put_back, removed.ids)


@router.post("/selection/distinct", dependencies=_CHANGES)
async def distinct(request: Request, state: StateDep, chosen: Chosen) -> Response:
    """Remember that images are not duplicates of each other."""
    images = await _images(request, state)
    ids = await state.work.run(partial(images.duplicates.mark_distinct, *chosen.ids))
    what = f"{_count(len(ids), 'image')} marked as not duplicates of each other"
    return _told(request, state, images, what, len(ids), partial(_unmark, images, ids))


@router.post("/selection/export")
async def export(request: Request, state: StateDep, chosen: Exported) -> Response:
    """Send the list of the selected images as a file."""
    images = await _images(request, state)
    read = partial(images.get, chosen.ids, include=["attributes"])
    text = exported(await state.work.run(read), chosen.format)
    ending = "txt" if chosen.format == "paths" else chosen.format
    headers = {"Content-Disposition": f'attachment; filename="images.{ending}"'}
    content = text.encode("utf-8", "surrogateescape")
    return Response(content, headers=headers, media_type=f"{_TYPES[chosen.format]}; charset=utf-8")


def exported(items: Sequence[Item], format: Literal["paths", "csv", "json"]) -> str:
    """Return a list of images as text."""
    if format == "paths":
        return "".join(f"{item.path}\n" for item in items if item.path)
    if format == "json":
        rows = [
            {
                "id": item.id,
                "image_name": item.image_name,
                "path": str(item.path) if item.path else None,
                "attributes": item.attributes,
            }
            for item in items
        ]
        return json.dumps(rows, indent=2, default=str) + "\n"
    return _csv(items)


def _csv(items: Sequence[Item]) -> str:
    names = sorted({name for item in items for name in item.attributes})
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["id", "image_name", "path", *names])
    for item in items:
        values = [_cell(item.attributes.get(name)) for name in names]
        writer.writerow([item.id, _safe(item.image_name), _safe(str(item.path or "")), *values])
    return out.getvalue()


def _cell(value: Any) -> object:
    if isinstance(value, list):
        return _safe("|".join(map(str, value)))
    if isinstance(value, bool):
        return str(value).lower()
    return _safe(value) if isinstance(value, str) else "" if value is None else value


def _safe(text: str) -> str:
    """Return text that spreadsheets do not take for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


async def _images(request: Request, state: AppState) -> Collection:
    return await state.collection(Search.of(request.query_params).collection)


def _told(
    request: Request,
    state: AppState,
    images: Collection,
    what: str,
    rows: int,
    take_back: Callable[[], str],
    removed: Sequence[int] = (),
) -> Response:
    """Answer with a toast that offers Undo."""
    token = state.undo.keep(Undo(images.name, what, rows, take_back)) if rows else ""
    events = {"images-removed": {"ids": list(removed)}} if removed else {}
    return page(
        request,
        "selection/toast.html",
        headers={"HX-Trigger": json.dumps(events)},
        message=what,
        undo=token,
        failed=not rows,
    )


def _put_back(images: Collection, removed: Removed) -> str:
    report = images.put_back(removed)
    told = f"{_count(len(report.restored), 'image')} put back"
    if report.failed:
        reason = next(iter(report.failed.values()))
        told += f"; {_count(len(report.failed), 'stays out', 'stay out')}: {reason}"
    return told


def _tag(
    images: Collection, chosen: Tagged
) -> tuple[dict[int, list[str] | None], dict[int, list[str] | None]]:
    """Set tags; return those of each image before and after."""
    before = {item.id: _tags(item) for item in images.get(chosen.ids, include=["attributes"])}
    add = [tag.strip() for tag in chosen.add if tag.strip()]
    less = {tag.strip() for tag in chosen.remove}
    after: dict[int, list[str] | None] = {}
    for row_id, known in before.items():
        tags = [tag for tag in dict.fromkeys([*(known or []), *add]) if tag not in less]
        after[row_id] = tags or None
    _untag(images, after)
    return before, after


def _known_tags(images: Collection) -> list[str]:
    if not any(each.name == TAGS for each in images.attributes.list()):
        return []
    return [str(each.value) for each in images.attributes.counts(TAGS, limit=_MOST_KNOWN)]


def _tags(item: Item) -> list[str] | None:
    found = item.attributes.get(TAGS)
    if found is None:
        return None
    return [str(tag) for tag in found] if isinstance(found, list) else [str(found)]


def _untag(images: Collection, tags: dict[int, list[str] | None]) -> str:
    images.attributes.update({row_id: {TAGS: each} for row_id, each in tags.items()})
    return f"Tags of {_count(len(tags), 'image')} are as before"


def _unmark(images: Collection, ids: Sequence[int]) -> str:
    images.duplicates.unmark_distinct(*ids)
    return f"{_count(len(ids), 'image')} may be duplicates of each other again"


def _count(number: int, one: str, many: str = "") -> str:
    return f"{number:,} {one if number == 1 else many or one + 's'}"
