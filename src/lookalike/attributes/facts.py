"""Store facts of files as attributes, beside what users have set themselves.

`<collection>_facts` keeps what was read from each file. A row's attribute is a fact as long as it
is what was read; whatever a user has set or removed since stays.
"""

import json
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from lookalike.attributes.catalog import column_types, known_attributes
from lookalike.attributes.files import AttributeRow, AttributeTable
from lookalike.attributes.store import Plan, writing
from lookalike.core.errors import InputError
from lookalike.core.facts import FACTS, LOCATION, TEXTS, FactValue
from lookalike.database.table import VectorTable
from lookalike.dialects import StoredFacts


class FileFacts(NamedTuple):
    """The facts of a stored file; path, content_hash: of the file that they were read from."""

    row_id: int
    path: str
    content_hash: bytes
    facts: Mapping[str, FactValue]


def prepare_facts(table: VectorTable, id_type: str, *, location: bool) -> None:
    """Create the table of facts if it is missing.

    id_type: the SQL type of the collection's ids. Raises InputError if an attribute of the user's
    own has the name of a fact.
    """
    table.connection.execute(table.dialect.create_facts(table, id_type))
    ((has_facts, has_location),) = table.connection.query(table.dialect.has_facts(table))
    wanted = {*FACTS, *(LOCATION if location else ())}
    columns = {name.casefold(): name for name in column_types(table)}
    if own := sorted(columns[name] for name in wanted & set(columns)):
        raise InputError(
            f"{', '.join(own)}: a column of your own in table {table.title!r} has the name of a "
            "fact; rename the column, or leave out the facts"
        )
    # Once facts are there, these names are theirs; what users set in single rows stays.
    new = wanted - set(FACTS if has_facts else ()) - set(LOCATION if has_location else ())
    known = {each.name for each in known_attributes(table)}
    if taken := sorted(new & known):
        raise InputError(
            f"{', '.join(taken)}: {table.title!r} has attributes of your own with the names of "
            "facts; drop them, store them under other names, or leave out the facts"
        )


def store_facts(table: VectorTable, read: Sequence[FileFacts], *, location: bool) -> int:
    """Store facts in one transaction; return of how many rows.

    Rows whose file was moved or changed meanwhile are left out. location: whether coordinates were
    asked for; rows that have them keep them up to date in any case.
    """
    plan = _plan(table, read, location=location)
    by_id = {each.row_id: each for each in read}
    connection, dialect = table.connection, table.dialect
    with writing(table, plan):
        changes: list[tuple[int, AttributeRow]] = []
        stored: list[StoredFacts] = []
        for row_id, path, content, attributes, before, had in connection.query_parts(
            sorted(by_id), partial(dialect.lock_facts, table)
        ):
            if (path, content) != by_id[row_id][1:3]:
                continue
            has_location = location or bool(had)
            names = (*FACTS, *(LOCATION if has_location else ()))
            facts = {n: value for n, value in by_id[row_id].facts.items() if n in names}
            patch = _patch(json.loads(attributes or "{}"), json.loads(before or "{}"), facts)
            changes.append((row_id, AttributeRow("", path, patch, {})))
            stored.append(StoredFacts(row_id, content, path, has_location, json.dumps(facts)))
        plan.write(changes)
        if stored:
            connection.execute_parts(stored, partial(dialect.replace_facts, table))
    return len(stored)


def _plan(table: VectorTable, read: Sequence[FileFacts], *, location: bool) -> Plan:
    ((_, has_location),) = table.connection.query(table.dialect.has_facts(table))
    names = (*FACTS, *(LOCATION if location or has_location else ()))
    rows = [
        AttributeRow("", each.path, {n: v for n, v in each.facts.items() if n in names}, {})
        for each in read
    ]
    # Filters know each of them as soon as facts were read, whether or not any file tells it.
    kinds = AttributeRow("", "", {n: "" if n in TEXTS else 0 for n in names}, {})
    return Plan(table, AttributeTable("the files", Path("/"), rows), [*rows, kinds])


def _patch(
    now: Mapping[str, Any], before: Mapping[str, Any], facts: Mapping[str, FactValue]
) -> dict[str, Any]:
    """Return the attributes to set, None to remove: those that are still what was read before."""
    return {
        name: facts.get(name)
        for name in {*before, *facts}
        if now.get(name) == before.get(name) and now.get(name) != facts.get(name)
    }
