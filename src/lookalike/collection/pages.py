"""Write HTML pages of a collection's results."""

import os
from collections.abc import Sequence
from pathlib import Path

from lookalike.collection.state import CollectionState
from lookalike.core.errors import InputError
from lookalike.core.output_files import CONTACT_SHEET, DUPLICATES_REPORT, check_target
from lookalike.core.paths import expand_user
from lookalike.core.types import DuplicateGroup, ImageRecord, Match
from lookalike.index.names import id_of
from lookalike.index.rows import records
from lookalike.pages.contact_sheet import match_tiles, query_tile, write_contact_sheet
from lookalike.pages.duplicates import write_report
from lookalike.search.query_pictures import parts_of, title_of
from lookalike.search.source import AnyQuery


def contact_sheet(
    state: CollectionState,
    file: str | os.PathLike[str],
    query: AnyQuery,
    matches: Sequence[Match],
    *,
    allow_private: bool,
    force: bool,
) -> Path:
    """Write a page of a query and its matches; return its absolute path."""
    target = expand_user(file).absolute()
    check_target(target, CONTACT_SHEET, force=force)
    parts = parts_of(query, lambda key: _record_of(state, key), allow_private=allow_private)
    stored = {row.id: row.path for row in records(state.table, [match.id for match in matches])}
    tiles = match_tiles(matches, [stored.get(match.id) for match in matches])
    title = f"{title_of(parts)} in {state.name}"
    write_contact_sheet(target, title, [*map(query_tile, parts), *tiles], force=force)
    return target


def duplicates_report(
    state: CollectionState,
    file: str | os.PathLike[str],
    groups: Sequence[DuplicateGroup],
    *,
    force: bool,
) -> Path:
    """Write a page of groups of duplicates; return its absolute path."""
    target = expand_user(file).absolute()
    check_target(target, DUPLICATES_REPORT, force=force)
    write_report(target, state.name, groups, force=force)
    return target


def _record_of(state: CollectionState, key: int | str) -> ImageRecord:
    """Return the stored image with an id or name. Raises InputError if there is none."""
    row_id = id_of(state.table, key, allow_ending=True) if isinstance(key, str) else key
    found = records(state.table, [row_id])
    if not found:
        raise InputError(f"collection {state.name!r} has no image with id {row_id}")
    return found[0]
