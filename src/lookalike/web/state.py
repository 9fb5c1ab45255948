"""What the routes of a server share."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated

from fastapi import Depends, Request

from lookalike import Collection, Database, ImageDecoder
from lookalike.web.adders import Adders
from lookalike.web.collections import Collections
from lookalike.web.decoding import Pixels
from lookalike.web.disk_cache import DiskCache
from lookalike.web.jobs import Jobs
from lookalike.web.metrics import Metrics
from lookalike.web.query_images import QueryImages
from lookalike.web.query_pictures import QueryPictures
from lookalike.web.settings import Settings
from lookalike.web.thumbnails import Thumbnails
from lookalike.web.undo import Undos
from lookalike.web.uploads import Upload
from lookalike.web.work import Work


@dataclass
class AppState:
    """What the routes of a server share.

    Attributes:
        settings: What is served, to whom.
        db: Where the collections are.
        collections: The opened ones.
        work: Threads for what blocks.
        decoder: Decodes images in processes of their own.
        thumbnail_cache: Where they are kept on disk.
        thumbnails: Scaled copies of the stored images.
        query_images: Uploaded images that searches refer to.
        jobs: Long work, such as an `add`.
        undo: What was removed and can be put back.
        adders: Add uploads to collections.
        metrics: What /metrics tells.
        stopping: Set when the server was told to stop: endless answers end.
    """

    settings: Settings
    db: Database
    collections: Collections
    work: Work = field(default_factory=Work)
    metrics: Metrics = field(default_factory=Metrics)
    stopping: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        limits, folder = self.settings.limits, self.settings.cache
        self.decoder = ImageDecoder(max_pixels=limits.pixels)
        self.thumbnail_cache = DiskCache(folder / "thumbnails", limits.thumbnails_bytes)
        self.thumbnails = Thumbnails(self.thumbnail_cache, self.decoder)
        uploaded = DiskCache(folder / "queries", limits.query_images_bytes)
        self.query_images = QueryImages(uploaded, self.decoder)
        self.jobs = Jobs()
        self.undo = Undos()
        self.adders = Adders(self.settings, self.collections)

    async def collection(self, name: str | None) -> Collection:
        """Return a collection that exists; the database may have to be asked for it.

        Raises Problem 404 if there is none.
        """
        return await self.work.run(self.collections.get, name or None)

    def pixels(self) -> Pixels:
        """Return what counts the pixels of a request's images."""
        return Pixels(self.settings.limits.pixels)

    def pictures(self, uploads: Sequence[Upload] = ()) -> QueryPictures:
        """Return what decodes the images of a search: uploads, and those at URLs."""
        return QueryPictures(
            self.decoder,
            uploads,
            pixels=self.pixels(),
            allow_private_urls=self.settings.allow_private_urls,
        )

    def close(self) -> None:
        """Finish what runs, then release everything but the database."""
        self.jobs.close(self.settings.limits.stop_seconds)
        self.work.close()
        self.adders.close()
        self.decoder.close()
        self.collections.close()


async def state_of(request: Request) -> AppState:
    """Return the state of the app that answers a request."""
    # A function that is not async would be called in a thread, for each request.
    state: AppState = request.app.state.lookalike
    return state


StateDep = Annotated[AppState, Depends(state_of)]


def require_writer(request: Request) -> None:
    """Raise Problem 403 unless the client may change things."""
    from lookalike.web.problems import Problem

    if not request.state.can_write:
        raise Problem(403, "this token may only read: use the one that may change things")
