"""Screen images against a blocklist."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlencode

from fastapi import APIRouter, Request
from starlette.responses import RedirectResponse, Response

from lookalike import ImageError
from lookalike.web.problems import Problem
from lookalike.web.screening import Screened, screen_kept, threshold_of
from lookalike.web.state import AppState, StateDep
from lookalike.web.uploads import Upload, read_form
from lookalike.web.views.query_images import kept_upload
from lookalike.web.views.rendering import is_fragment, page

router = APIRouter(include_in_schema=False)

_HASH = re.compile(r"[0-9a-f]{64}")
_USUAL = 0.9
"""Where neither the collection nor its model has a threshold."""


@dataclass(frozen=True)
class Asked:
    """What a URL or a form asks for.

    Attributes:
        collection: Name of the blocklist; empty for the default one.
        images: Hashes of the images.
        min_similarity: The lowest similarity of a match; None for the collection's threshold.
    """

    collection: str = ""
    images: tuple[str, ...] = ()
    min_similarity: float | None = None

    @property
    def url(self) -> str:
        """The page that shows the answer."""
        terms = [("collection", self.collection)] if self.collection else []
        if self.min_similarity is not None:
            terms.append(("min", f"{self.min_similarity:g}"))
        terms += [("image", name) for name in self.images]
        return f"/screen?{urlencode(terms)}" if terms else "/screen"


@dataclass(frozen=True)
class Shown:
    """What the page shows.

    Attributes:
        asked: What was asked for.
        collections: Names of all collections with images.
        name: Name of the blocklist; empty if there is none.
        rows: Number of images in it.
        metric: By which it compares.
        threshold: Its own, or the model's; None if there is neither.
        min_similarity: The lowest similarity of a match.
        results: Of the images, in order.
    """

    asked: Asked
    collections: list[str]
    name: str
    rows: int = 0
    metric: str = "cosine"
    threshold: float | None = None
    min_similarity: float = _USUAL
    results: list[Screened] = field(default_factory=list)


@router.get("/screen")
async def show(request: Request, state: StateDep) -> Response:
    """Show which of the URL's images match."""
    query = request.query_params
    asked = _asked(query.get("collection", ""), query.getlist("image"), query.get("min", ""))
    _check_number(state, asked)
    return await _answer(request, state, asked, [])


@router.post("/screen")
async def screen(request: Request, state: StateDep) -> Response:
    """Keep the uploaded images, and show which of them match."""
    form = await read_form(request, state.settings.limits, takes_any=True)
    kept, failed = await _kept(state, form.uploads)
    images = [*form.all("kept"), *(each.content_hash for each in kept)]
    asked = _asked(form.get("collection"), images, form.get("min"))
    _check_number(state, asked)
    if not is_fragment(request) and not failed:
        return RedirectResponse(asked.url, 303)
    return await _answer(request, state, asked, failed)


def _check_number(state: AppState, asked: Asked) -> None:
    most = state.settings.limits.images
    if len(asked.images) > most:
        raise Problem(413, f"too many images; at most {most} are shown at once")


async def _kept(state: AppState, uploads: Sequence[Upload]) -> tuple[list[Upload], list[str]]:
    """Return the uploads that were kept, and what is wrong with the others."""
    kept, failed = [], []
    for upload in uploads:
        try:
            kept.append(await kept_upload(state, upload))
        except ImageError as error:
            failed.append(str(error))
    return kept, failed


async def _answer(
    request: Request, state: AppState, asked: Asked, failed: Sequence[str]
) -> Response:
    shown = await (state.work.embed if asked.images else state.work.run)(_shown, state, asked)
    template = "screen/view.html" if is_fragment(request) else "screen/page.html"
    return page(request, template, shown=shown, failed=failed)


def _shown(state: AppState, asked: Asked) -> Shown:
    names = state.db.collections()
    name = asked.collection or state.collections.default
    if not asked.collection and name not in names and names:
        name = names[0]
    if name not in names:
        if asked.collection:
            raise Problem(404, f"there is no collection {name}")
        return Shown(asked, names, "")
    collection = state.collections.get(name)
    threshold = threshold_of(collection)
    wanted = asked.min_similarity
    least = wanted if wanted is not None else _USUAL if threshold is None else threshold
    results = screen_kept(
        collection,
        state.query_images,
        asked.images,
        min_similarity=least,
        pixels=state.pixels(),
    )
    rows, metric = collection.count(), collection.metric
    return Shown(asked, names, name, rows, metric, threshold, least, results)


def _asked(collection: str, images: Sequence[str], least: str) -> Asked:
    """Read what a URL asks for; what is no hash is passed over. Raises Problem 422."""
    hashes = tuple(name for name in dict.fromkeys(images) if _HASH.fullmatch(name))
    if not least:
        return Asked(collection, hashes)
    try:
        number = float(least)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise Problem(422, f"min is {least[:40]!r}; give a similarity, such as 0.9")
    return Asked(collection, hashes, number)
