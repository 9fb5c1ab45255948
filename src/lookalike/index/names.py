"""Find rows by name, and suggest stored names for one that is not stored."""

from difflib import get_close_matches
from pathlib import PurePosixPath

from lookalike.core.errors import InputError
from lookalike.core.paths import absolute
from lookalike.core.remote import is_remote
from lookalike.database.table import VectorTable

_ID_DIGITS = len(str(2**64 - 1))
_TOLD = 200  # characters of a name
_SUGGESTED = 3
_READ = 1000  # stored names


def id_of(table: VectorTable, name: str, *, allow_ending: bool = False) -> int:
    """Return the id of the row with this name or URL, or the id that the name spells.

    allow_ending: accept the end of one image's name, too: "cat.jpg" for "pets/cat.jpg".
    Raises InputError if no image or several images have the name.
    """
    if table.has_files and is_remote(name):
        known = table.connection.query(table.dialect.known_files(table, [absolute(name)]))
        if known:
            return int(known[0][1])
    ids = [row[0] for row in table.connection.query(table.dialect.ids_by_name(table, name))]
    if len(ids) > 1:
        raise InputError(f"several images are named {name[:_TOLD]!r}: give an id, as {ids[0]}")
    if ids:
        return int(ids[0])
    if name.isdecimal() and len(name) <= _ID_DIGITS:
        return int(name)
    if not PurePosixPath(name).name:
        raise _unknown(name, [])
    ending = [row for row in _containing(table, name) if row[1].endswith(f"/{name}")]
    if allow_ending and len(ending) == 1:
        return int(ending[0][0])
    raise _unknown(name, [row[1] for row in ending] or _similar(table, name))


def _unknown(name: str, suggested: list[str]) -> InputError:
    told = f"{name[:_TOLD]!r} is not an image file, and no stored image has that name or id"
    if suggested:
        some = ", ".join(each[-_TOLD:] for each in suggested[:_SUGGESTED])
        told += f"; did you mean {some}{', ...' if len(suggested) > _SUGGESTED else ''}?"
    return InputError(told)


def _similar(table: VectorTable, name: str) -> list[str]:
    """Return stored names whose last part, without its suffix, is similar."""
    stem = PurePosixPath(name).stem
    found = _containing(table, stem) or _containing(table, "")
    by_stem = {PurePosixPath(stored).stem.lower(): stored for _, stored in found}
    return [by_stem[each] for each in get_close_matches(stem.lower(), by_stem, n=_SUGGESTED)]


def _containing(table: VectorTable, part: str) -> list[tuple[int, str]]:
    """Return (id, name) of some rows whose names contain this, whatever its letter case."""
    statement = table.dialect.names_containing(table, part, _READ)
    return [(row[0], row[1]) for row in table.connection.query(statement)]
