"""Add the images of folders to a collection, and find those whose files are gone."""

import os
from collections.abc import Sequence

from lookalike.add.add import add_files, find_gone
from lookalike.add.ingest import IngestOptions
from lookalike.collection.state import CollectionState
from lookalike.core.progress import Progress
from lookalike.core.reports import AddReport
from lookalike.core.types import ImageRecord, IndexKind
from lookalike.database.retry import Persistence
from lookalike.images.walk import ImageWalk
from lookalike.index.rows import records
from lookalike.pipeline.ray.embedder import check as check_ray


def add(
    state: CollectionState,
    walk: ImageWalk,
    options: IngestOptions,
    *,
    prune: bool,
    kind: IndexKind | None = None,
    progress: Progress,
) -> AddReport:
    """Embed and store images, in a new table if there is none yet. kind: of the index."""
    state.require_collection()
    if options.ray is not None:
        check_ray(state.request.model)
    if kind is not None:
        state.check_index(kind)
    walk.check()
    if walk.is_partial and not prune and next(walk.walk(), None) is None:
        return AddReport.of_nothing()
    persistence = Persistence(timeout=options.retry_timeout, notify=state.notify)
    # Do not load a known model for a folder in which nothing is new.
    record = state.record
    known = record if record and record.model else state.model.get()
    model_id = state.model_id or state.model.get().id
    persistence.run(lambda: state.create(known.dim, model_id))
    if kind is not None:
        state.choose_index(kind)
    report = add_files(
        state.index,
        state.model,
        walk,
        options,
        prune=prune,
        id_type=state.require_table().id_type,
        progress=progress,
        notify=state.notify,
    )
    persistence.run(lambda: state.maintain(compare=not walk.is_partial))
    if kind is not None:
        persistence.run(lambda: state.change_index(kind))
    return report


def gone(
    state: CollectionState,
    folders: Sequence[str | os.PathLike[str]],
    *,
    exclude: Sequence[str],
    hidden: bool,
) -> list[ImageRecord]:
    """Return the stored images below folders whose files are gone."""
    table = state.table
    walk = ImageWalk(folders, exclude=exclude, hidden=hidden)
    return records(table, find_gone(table, walk, state.notify)) if table.has_files else []
