"""Print matches: as a table, as paths, and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lookalike.cli.output import Output

if TYPE_CHECKING:
    from lookalike import Match


@dataclass(frozen=True)
class Columns:
    """What to show of each match: its id; attributes by name, [] for all, None for none."""

    ids: bool
    names: Sequence[str] | None

    def names_in(self, matches: Sequence[Match]) -> list[str]:
        """Return the attributes of a table's columns."""
        if self.names is None:
            return []
        return list(self.names) or sorted({n for match in matches for n in match.attributes or ()})

    def attributes_of(self, match: Match) -> dict[str, Any]:
        """Return a match's attributes for JSON: those that were named, or else all."""
        known = match.attributes or {}
        return {
            name: value for name, value in known.items() if not self.names or name in self.names
        }


def document_of(match: Match, columns: Columns) -> dict[str, object]:
    """Return a match for JSON."""
    return {
        "id": match.id,
        "image_name": match.image_name,
        "similarity": match.similarity,
        "percentile": match.percentile,
        "level": match.level,
        "path": match.path,
        "attributes": columns.attributes_of(match),
        **({} if match.key is None else {"key": match.key}),
    }


def is_chance(matches: Sequence[Match]) -> bool | None:
    """Whether all results are chance; None if unknown."""
    known = [match.level == "chance" for match in matches if match.level]
    return all(known) if known else None


def print_paths(out: Output, matches: Sequence[Match], end: bytes) -> None:
    """Print the paths of matches; end: terminator of each."""
    paths = [match.path for match in matches if match.path]
    out.print_paths(paths, end)
    missing = len(matches) - len(paths)
    if missing:
        found = "1 result has" if missing == 1 else f"{missing:,} results have"
        out.say(f"{found} no file and so no path: only the embedding is stored.")


def print_matches(out: Output, matches: Sequence[Match], chosen: Columns) -> None:
    """Print a table; it has a column `match` if levels are known."""
    shown = "path" if any(match.path for match in matches) else "image_name"
    columns = [shown, "similarity"]
    rows: list[list[object]] = [
        [match.path or match.image_name, f"{match.similarity:.4f}"] for match in matches
    ]
    if any(match.level for match in matches):
        columns.append("match")
        for row, match in zip(rows, matches, strict=True):
            row.append(match.level or "")
    if chosen.ids or not any(match.path or match.image_name for match in matches):
        columns.insert(0, "id")
        for row, match in zip(rows, matches, strict=True):
            row.insert(0, match.id if match.key is None else match.key)
    for name in chosen.names_in(matches):
        columns.append(name)
        for row, match in zip(rows, matches, strict=True):
            row.append(_attribute((match.attributes or {}).get(name)))
    out.table(columns, rows, paths=shown)


def _attribute(value: object) -> object:
    """Return an attribute's value as shown in the table."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return "" if value is None else value
