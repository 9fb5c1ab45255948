"""Update the paths of moved files' rows, in the transaction of a batch."""

from collections.abc import Mapping, Sequence

from lookalike.add.content import NewFile, Origin
from lookalike.database.table import VectorTable
from lookalike.index.rows import MAX_NAME, stored_name


def move_rows(table: VectorTable, new: Sequence[NewFile]) -> set[str]:
    """Set the paths of origin rows to those of their moved files; return these paths.

    Runs in the caller's transaction. Skips files whose row was changed since by another process,
    and files whose path another row keeps.
    """
    moving = {str(each.file.path): (each, each.origin) for each in new if each.origin}
    if not moving:
        return set()
    connection, dialect = table.connection, table.dialect
    ids = sorted({origin.row_id for _, origin in moving.values()})
    locked = connection.query_parts(ids, lambda part: dialect.lock_files(table, part))
    stored = {row[0]: row[1:] for row in locked}
    moving = {
        path: (each, origin)
        for path, (each, origin) in moving.items()
        if stored.get(origin.row_id) == (origin.path, each.file.content_hash)
    }
    known = connection.query_parts(list(moving), lambda part: dialect.known_files(table, part))
    occupants = {row[0]: row[1] for row in known}
    moving = _with_room(moving, occupants)
    leaving = sorted(occupants[path] for path in moving if path in occupants)
    if leaving:
        connection.execute_parts(leaving, lambda part: dialect.park_files(table, part))
    found = connection.query_parts(ids, lambda part: dialect.records(table, part))
    names: dict[int, str | None] = dict(found)
    for each, origin in moving.values():
        connection.execute(dialect.move_file(table, origin.row_id, each.file))
        if _is_of_path(names[origin.row_id], origin.path):
            name = stored_name(each.name)
            connection.execute(dialect.update_name(table, origin.row_id, name))
    return set(moving)


def _with_room(
    moving: Mapping[str, tuple[NewFile, Origin]], occupants: Mapping[str, int]
) -> dict[str, tuple[NewFile, Origin]]:
    """Return the moves to paths that are free or that another of these moves frees."""
    left = dict(moving)
    while True:
        leaving = {origin.row_id for _, origin in left.values()}
        stuck = [path for path in left if path in occupants and occupants[path] not in leaving]
        if not stuck:
            return left
        for path in stuck:
            del left[path]


def _is_of_path(name: str | None, path: str) -> bool:
    """Whether an image_name is the end of a path, as `add` stores it."""
    if not name or not path.endswith(name):
        return False
    return len(name) == MAX_NAME or name == path or path[: -len(name)].endswith("/")
