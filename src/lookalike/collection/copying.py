"""Copy a collection to another database, of any engine.

The copy's table is marked as unfinished by its comment until both ends were found equal, so nobody
takes it for whole, and a call that was cut short is finished by the same call. The source is only
read. Indexes are built in the copy when it is finished.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from time import monotonic

from lookalike.attributes.catalog import indexed_attributes, make_index
from lookalike.collection import copy_checks
from lookalike.collection.copied_notes import copy_notes, differing_note
from lookalike.collection.copied_rows import Copier, End
from lookalike.collection.state import CollectionState
from lookalike.core.errors import DatabaseError, InputError, UnsupportedServer
from lookalike.core.progress import StepProgress
from lookalike.core.reports import CollectionCopy
from lookalike.database.own_tables import no_training
from lookalike.database.retry import Persistence
from lookalike.database.schema import create_collection, find_collection
from lookalike.database.table import VectorTable

MAX_PASSES = 5
"""How often a source that changes while it is copied is followed."""


def copy_collection(
    source: CollectionState, target: CollectionState, *, dry_run: bool, progress: StepProgress
) -> CollectionCopy:
    """Make the target's collection equal to the source's, then index it.

    Raises InputError where the target cannot hold it, or has another collection of that name, which
    stays as it is; and DatabaseError where the source has not stopped to change.
    """
    started = monotonic()
    copy_checks.check_source(source)
    found = _look(source, target, progress)
    if not dry_run:
        if found.state != "equal":
            found = _finish(source, target, progress)
        target.maintain()
        without = _index_attributes(source.table, target.table)
        found = replace(found, without_index=without)
    return replace(found, seconds=monotonic() - started, is_dry_run=dry_run)


def _look(
    source: CollectionState, target: CollectionState, progress: StepProgress
) -> CollectionCopy:
    """Return what a copy has to do; nothing is changed."""
    rows = int(source.connection.value(source.dialect.count_rows(source.table)))
    if target.record is None:
        copy_checks.check_fit(source, target)
        copy_checks.check_name(source, target)
        return CollectionCopy(target.name, rows, "new")
    if target.record.copy_of is not None:
        copy_checks.check_same_kind(source, target)
        copy_checks.check_fit(source, target)
        return CollectionCopy(target.name, rows, "unfinished")
    if (differing := _difference(source, target, progress)) is not None:
        raise InputError(
            f"{target.connection.url} has a collection {target.name!r} already, with other "
            f"{differing} than {copy_checks.origin(source)}: delete or rename one of them: "
            f"lookalike collections rename {target.name} NEW"
        )
    return CollectionCopy(target.name, rows, "equal")


def _difference(
    source: CollectionState, target: CollectionState, progress: StepProgress
) -> str | None:
    """Return in what a finished collection differs from the source; None if it is equal."""
    here, there = source.require_table(), target.require_table()
    if there.own is not None:
        return "rows (it is a table of your own)"
    if (here.dim, here.model, here.metric) != (there.dim, there.model, there.metric):
        return "embeddings"
    if not there.is_registered or differing_note(source.table, target.table) is not None:
        return "records"
    ends = End.of(source.table), End.of(target.table)
    return Copier(*ends, _persistence(source), progress).difference()


def _persistence(source: CollectionState) -> Persistence:
    return Persistence(notify=source.notify)


def _finish(
    source: CollectionState, target: CollectionState, progress: StepProgress
) -> CollectionCopy:
    """Make a new copy, or go on with one, until both ends are equal."""
    with _alone(target):
        # Another client may have been quicker.
        target.record = find_collection(target.connection, target.dialect, target.name)
        found = _look(source, target, progress)
        if found.state == "equal":
            return found
        _create(source, target)
        copied: list[int] = []
        for _ in range(MAX_PASSES):
            changes = _pass(source, target, progress, is_first=not copied)
            copied.append(changes["images"])
            if not changes and differing_note(source.table, target.table) is None:
                break
        else:
            raise DatabaseError(
                f"{source.name!r} changes faster than it can be copied: what was copied is kept, "
                "and the same command goes on; stop those who write, at the end"
            )
        _unmark(source, target)
    rows = int(target.connection.value(target.dialect.count_rows(target.table)))
    return replace(found, rows=rows, copied=sum(copied), changed=sum(copied[1:]))


@contextmanager
def _alone(target: CollectionState) -> Iterator[None]:
    """Keep others from copying to the same collection, renaming, deleting and training it."""
    connection, dialect = target.connection, target.dialect
    with connection.session():
        connection.execute(dialect.allow_id_zero())
        with no_training(connection, dialect, target.name):
            yield


def _create(source: CollectionState, target: CollectionState) -> None:
    """Create those of the copy's tables that are missing; a new one is marked as unfinished."""
    record = source.require_table()
    target.record = create_collection(
        target.connection,
        target.dialect,
        target.name,
        dim=record.dim,
        model=record.model,
        metric=record.metric,
        id_type=copy_checks.plain(record.id_type),
        copy_of=copy_checks.origin(source),
    )


def _pass(
    source: CollectionState, target: CollectionState, progress: StepProgress, *, is_first: bool
) -> Counter[str]:
    """Copy what differs, and return how many rows of each kind that were."""
    here = End.of(source.table)
    _complete(here, target)
    copier = Copier(here, End.of(target.table), _persistence(source), progress)
    copied = copier.copy("Copying" if is_first else "Comparing")
    copy_notes(source.table, target.table)
    return copied


def _complete(source: End, target: CollectionState) -> None:
    """Create the side tables that the source has, and its column of attributes."""
    connection, dialect, table = target.connection, target.dialect, target.table
    id_type = target.require_table().id_type
    there = End.of(table)
    made = {
        "_facts": dialect.create_facts(table, id_type),
        "_distinct": dialect.create_distinct(table, id_type),
        "_phashes": dialect.create_phashes(table),
    }
    for suffix, statement in made.items():
        if suffix in source.parts and suffix not in there.parts:
            connection.execute(statement)
    if source.parts[""].json and not there.parts[""].json:
        connection.alter(dialect.add_attributes_column(table))


def _unmark(source: CollectionState, target: CollectionState) -> None:
    """Make it a collection like any other."""
    next_id = source.connection.value(source.dialect.next_id(source.table))
    connection, dialect = target.connection, target.dialect
    connection.alter(dialect.finish_copy(target.table, None if next_id is None else int(next_id)))
    target.record = find_collection(connection, dialect, target.name)


def _index_attributes(source: VectorTable, target: VectorTable) -> tuple[str, ...]:
    """Index the attributes that the source has indexed; return those that the target cannot."""
    refused = []
    for name in indexed_attributes(source):
        try:
            make_index(target, name)
        except UnsupportedServer:
            refused.append(name)
    return tuple(refused)
