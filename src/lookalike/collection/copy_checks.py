"""What keeps a collection from being copied, told before anything is written."""

import re

from lookalike.collection.state import CollectionState
from lookalike.core.errors import InputError, UnsupportedServer
from lookalike.database.errors import too_large
from lookalike.database.own_tables import unknown
from lookalike.database.schema import CollectionRecord, check_new_name
from lookalike.dialects import COLLECTION_COLUMNS, SHARED_TABLES, SIDE_TABLES

MAX_NAME = 255
"""Of an image_name, in characters."""

_BESIDE_EMBEDDING = 4096  # bytes of a statement that stores one row


def origin(source: CollectionState) -> str:
    """Return what a copy of this collection is marked with: it does not tell who copied it."""
    return f"{source.name} in {source.connection.url.place}"


def check_source(source: CollectionState) -> CollectionRecord:
    """Return the record of a collection that can be copied; raise InputError for others."""
    name, record = source.request.name, source.record
    if record is None:
        raise unknown(source.connection, source.dialect, name)
    if record.own is not None:
        raise InputError(
            f"{name!r} is a table of your own, and only collections are copied: copy "
            f"{record.own.table.shown} with your server's tools, then index it there with "
            "lookalike index create"
        )
    if record.copy_of is not None:
        raise InputError(f"{name!r} is itself an unfinished copy, of {record.copy_of}: finish it")
    connection, dialect, table = source.connection, source.dialect, source.table
    for kind, _, _, primary, _ in connection.query(dialect.table_kind(table)):
        if kind != "BASE TABLE":
            raise InputError(f"{name!r} is a view, and only collections are copied")
        if primary != table.id_column:
            raise InputError(
                f"{name!r} cannot be copied: id is not its PRIMARY KEY; change that with "
                "ALTER TABLE"
            )
    columns: dict[str, str] = dict(connection.query(dialect.table_columns(table)))
    others = sorted(columns.keys() - COLLECTION_COLUMNS)
    if columns.get("attributes", "json") != "json":
        others.append("attributes")
    if others:
        raise InputError(
            f"{name!r} has columns of your own ({', '.join(others)}), and only lookalike's are "
            "copied: copy the table with your server's tools"
        )
    return record


def check_fit(source: CollectionState, target: CollectionState) -> None:
    """Raise InputError where the target's server cannot hold what the source has."""
    record, table = source.require_table(), source.table
    connection, there = source.connection, target.connection
    name, server = record.name, str(there.url)
    for end in (source, target):
        if end.dialect.sends_text:
            raise UnsupportedServer(
                f"{end.connection.url} gives embeddings as text, and a copy compares their bytes: "
                "read them with collection.get, and store them with add_embeddings"
            )
    if record.dim > target.dialect.max_dim:
        raise InputError(
            f"{name!r} has {record.dim:,} dimensions, and a collection in {server} has at most "
            f"{target.dialect.max_dim:,}"
        )
    if (size := 8 * record.dim + _BESIDE_EMBEDDING) > there.max_packet:
        raise too_large(size, there.max_packet)
    longest = connection.value(source.dialect.longest_name(table)) or 0
    if longest > MAX_NAME:
        raise InputError(
            f"an image_name of {name!r} has {longest:,} characters, and a collection's has at most "
            f"{MAX_NAME}: shorten it with UPDATE"
        )
    if target.dialect.needs_embeddings:
        rows = int(connection.value(source.dialect.count_rows(table)))
        rows -= int(connection.value(source.dialect.count_embeddings(table)))
        if rows:
            raise InputError(
                f"{name!r} has rows without an embedding ({rows:,}), which {server} cannot hold: "
                "give them one, or delete those WHERE embedding IS NULL"
            )


def check_name(source: CollectionState, target: CollectionState) -> None:
    """Raise InputError unless the target's database is free for a collection of this name."""
    connection, dialect, name = target.connection, target.dialect, target.request.name
    if connection.value(dialect.lower_case_names()) == 1:
        name = name.lower()
    check_new_name(connection, dialect, name)
    wanted = {name, *(f"{name}{suffix}" for suffix in SIDE_TABLES)}
    taken = {row[0] for row in connection.query(dialect.existing_tables(sorted(wanted)))}
    if taken := taken | ({name} & set(SHARED_TABLES)):
        raise InputError(
            f"a table {min(taken, key=len)!r} exists already in {connection.url}: rename the "
            f"collection first: lookalike collections rename {source.name} NEW"
        )


def check_same_kind(source: CollectionState, target: CollectionState) -> None:
    """Raise InputError unless an unfinished copy is of the collection as it is now."""
    here, there = source.require_table(), target.require_table()
    if there.copy_of != origin(source):
        raise InputError(
            f"{target.name!r} in {target.connection.url} is an unfinished copy of {there.copy_of}, "
            f"not of {origin(source)}: delete it: lookalike collections delete {target.name}"
        )
    if here.dim != there.dim or plain(here.id_type) != plain(there.id_type):
        raise InputError(
            f"{source.name!r} was made again since {target.connection.url} got a part of it: "
            f"delete that: lookalike collections delete {target.name}"
        )


def plain(id_type: str) -> str:
    """Return an integer type without its width, which not all engines tell."""
    return re.sub(r"\(\d+\)", "", id_type.lower())
