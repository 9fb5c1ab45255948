"""Print results on standard output, and everything else on standard error.

rich is imported when it is needed: it takes a tenth of a second.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lookalike import InputError
from lookalike.cli.statuses import NOT_DONE
from lookalike.core.paths import shortened

if TYPE_CHECKING:
    from rich.progress import Progress

    from lookalike import Plan, Statement

_PIPE_WIDTH = 100_000
_MIN_PATH_WIDTH = 16


@dataclass(frozen=True)
class Output:
    """Output of a command, as set by --json, --quiet and --verbose."""

    as_json: bool
    quiet: bool
    verbose: bool
    _bars: list[Progress] = field(default_factory=list)

    def say(self, line: str) -> None:
        """Report on standard error what was done; silent with --quiet."""
        if not self.quiet:
            self.warn(line)

    def warn(self, line: str) -> None:
        """Report on standard error an error that does not end the command."""
        if self._bars:  # above the bar
            self._bars[-1].console.out(printable(line), highlight=False)
        else:
            click.echo(printable(line), err=True)

    def require_terminal(self, undone: str) -> None:
        """Raise InputError if nobody can be asked; undone: what was not done."""
        if not all(stream and stream.isatty() for stream in (sys.stdin, sys.stderr)):
            raise InputError(
                f"{undone}: there is no terminal to ask on; add --yes, or look first with --dry-run"
            )

    def confirm(self, question: str, undone: str) -> None:
        """Ask on the terminal; any answer except yes ends the command."""
        self.require_terminal(undone)
        if not click.confirm(printable(question), err=True):
            self.warn(f"{undone.capitalize()}.")
            raise click.exceptions.Exit(NOT_DONE)

    def trace(self, statement: Statement) -> None:
        """Show a statement before it runs, with --verbose."""
        if self.verbose:
            click.echo(f"sql: {' '.join(statement.sql.split())[:500]}", err=True)

    def json(self, document: object) -> None:
        """Print the command's one JSON document."""
        click.echo(json_of(document, indent=2))

    def table(
        self,
        columns: Sequence[str],
        rows: Sequence[Sequence[object]],
        *,
        paths: str | None = None,
    ) -> None:
        """Print a table as the mysql client does; paths: the column to shorten on a terminal."""
        from rich import box
        from rich.console import Console
        from rich.table import Table
        from rich.text import Text

        console = Console(highlight=False)
        cells = [[cell(value) for value in row] for row in rows]
        if not console.is_terminal:
            console.width = _PIPE_WIDTH
        elif paths is not None:
            _shorten(columns, cells, list(columns).index(paths), console.width)
        table = Table(box=box.ASCII2, show_edge=True, pad_edge=True)
        for i, name in enumerate(columns):
            numeric = bool(rows) and all(isinstance(row[i], int | float) for row in rows)
            table.add_column(
                Text(printable(name)), overflow="fold", justify="right" if numeric else "left"
            )
        for texts in cells:
            table.add_row(*(Text(text) for text in texts))
        console.print(table, soft_wrap=False)

    def print_paths(self, paths: Sequence[Path], end: bytes) -> None:
        """Print paths as raw bytes, each followed by `end`."""
        click.echo(b"".join(os.fsencode(path) + end for path in paths), nl=False)

    @contextmanager
    def progress(self, unit: str) -> Iterator[Progress]:
        """Show a progress bar on standard error, if it is a terminal and not --quiet."""
        from lookalike.cli.bar import make_bar

        with make_bar(unit, is_quiet=self.quiet) as bar:
            if not bar.disable:
                self._bars.append(bar)
            try:
                yield bar
            finally:
                self._bars.clear()


def json_of(document: object, *, indent: int | None = None) -> str:
    """Return readable JSON; names that are not UTF-8 are escaped as Python reads them back."""
    text = json.dumps(document, indent=indent, ensure_ascii=False, default=_plain)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(document, indent=indent, default=_plain)
    return text


def printable(text: str) -> str:
    """Return text without characters that control a terminal."""
    return "".join(c if c.isprintable() or c == "\n" else ascii(c)[1:-1] for c in text)


def cell(value: Any) -> str:
    """Return a value as shown in a table: bytes in hex, vectors by their first numbers."""
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        return f"0x{value[:32].hex().upper()}{'...' if len(value) > 32 else ''}"
    if hasattr(value, "ndim"):  # a numpy array
        start = ", ".join(f"{number:.4g}" for number in value[:3])
        return f"[{start}, ... {value.size} in all]" if value.size > 3 else f"[{start}]"
    return printable(str(value)).replace("\n", "\\n")


def _shorten(columns: Sequence[str], cells: list[list[str]], which: int, width: int) -> None:
    """Shorten one column so that the table fits the width."""
    from rich.cells import cell_len

    texts = [[name, *column] for name, *column in zip(columns, *cells, strict=True)]
    widths = [max(map(cell_len, column)) for column in texts]
    frame = 3 * len(columns) + 1
    room = max(_MIN_PATH_WIDTH, width - frame - sum(widths) + widths[which])
    for row, text in zip(
        cells, shortened([row[which] for row in cells], room, cell_len), strict=True
    ):
        row[which] = text


def _plain(value: Any) -> object:
    if hasattr(value, "ndim"):
        return value.tolist()
    if isinstance(value, bytes):
        return "0x" + value.hex()
    return str(value)


def describe_plan(plan: Plan) -> str:
    """Describe how far a search through an index looks, and its recall."""
    target = f"target {plan.target_recall:.3g}"
    if plan.is_exact:
        return f"not used: these embeddings are so alike that exact search costs less ({target})"
    cells = "1 cell" if plan.n_probes == 1 else f"up to {plan.n_probes:,} cells"
    looks = f"a search reads {cells} and compares {plan.rescored:,} rows"
    found = "recall not measured" if plan.recall is None else f"recall {plan.recall:.3f} measured"
    return f"{looks}: {found}, {target}"
