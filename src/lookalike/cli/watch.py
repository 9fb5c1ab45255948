"""`lookalike watch`: add what is new or changed in folders, for as long as it runs."""

from __future__ import annotations

import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lookalike import ConnectionFailed, DatabaseError, InputError
from lookalike.cli.changes import Changes
from lookalike.cli.options import (
    check_location,
    collection_option,
    connect,
    database_option,
    model_option,
    output_options,
    time_limit_option,
    walk_options,
)
from lookalike.cli.output import Output, json_of
from lookalike.cli.reports import document_of, plural, progress_bar, say_passed_over, summary_of

if TYPE_CHECKING:
    from lookalike import AddReport, Collection

_RESCAN_SECONDS = 3600.0
_PAUSE_SECONDS, _LONGEST_PAUSE = 1.0, 60.0


@click.command()
@click.argument("folders", nargs=-1, required=True, metavar="FOLDER...")
@walk_options
@click.option(
    "--quiet-time",
    type=click.FloatRange(0, min_open=True),
    default=2,
    show_default=True,
    metavar="SECONDS",
    help="Add a file when nothing has happened to it for this long.",
)
@time_limit_option
@database_option
@collection_option
@model_option
@output_options
def watch(
    folders: tuple[str, ...],
    quiet_time: float,
    database: str | None,
    collection: str,
    model: str | None,
    out: Output,
    **options: Any,
) -> None:
    """Keep folders and a collection in step: add what is new or changed.

    First all that is new in the folders is added, as by `add`; then every change, a few seconds
    after it was made. Rows of deleted files are removed only with --prune. A line tells of each
    batch; with --json it is one line of JSON on standard output. Ctrl-C ends it; killed at any
    moment, the same command again goes on.
    """
    check_location(facts=options["facts"], location=options["location"])
    roots = [_folder(name) for name in folders]
    changes = Changes(roots, quiet=quiet_time)
    work = _Watch(roots, changes, out, collection, model, options)
    with _ended_by_signals(work), changes.watched():
        pause = _PAUSE_SECONDS
        while True:
            done = work.batches
            try:
                with connect(database, out, computes=True) as db:
                    work.run(db.collection(collection, model=model))
            except DatabaseError as error:
                if not work.may_retry(error):
                    raise
                pause = _PAUSE_SECONDS if work.batches > done else min(2 * pause, _LONGEST_PAUSE)
                out.warn(f"{error} Trying again in {pause:g} seconds.")
            time.sleep(pause)


def _folder(name: str) -> Path:
    path = Path(name).expanduser()
    if not path.is_dir():
        raise InputError(f"{name} is not a folder: name one to watch, or add a file with `add`")
    return path.resolve()


@contextmanager
def _ended_by_signals(work: _Watch) -> Iterator[None]:
    """End the block in Ctrl-C and SIGTERM, with a summary and status 0."""
    if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
        signal.signal(signal.SIGTERM, signal.getsignal(signal.SIGINT))
    try:
        yield
    except KeyboardInterrupt:
        work.out.say(work.summary())


@dataclass
class _Watch:
    """What is watched, what is still to be done, and what was done."""

    roots: list[Path]
    changes: Changes
    out: Output
    collection: str
    model: str | None
    options: dict[str, Any]
    todo: set[Path] = field(default_factory=set)
    has_gone: bool = True
    rescan_at: float = 0.0
    batches: int = 0
    has_begun: bool = False
    began: float = field(default_factory=time.monotonic)
    counts: Counter[str] = field(default_factory=Counter)

    def run(self, images: Collection) -> None:
        """Add what is to be done and every change after it; ends only by an exception."""
        self.has_begun = True
        while True:
            if time.monotonic() >= self.rescan_at:
                self.todo, self.has_gone = set(self.roots), True
            if self.todo:
                self._add(images)
            ready, are_gone = self.changes.next(self.rescan_at)
            self.todo |= ready
            self.has_gone |= are_gone

    def _add(self, images: Collection) -> None:
        """Add all that is to be done; what an exception ends is still to be done."""
        is_whole = not self.todo.isdisjoint(self.roots)
        options = {**self.options, "prune": self.options["prune"] and self.has_gone}
        if is_whole and not self.batches:
            with progress_bar(self.out, "Adding") as progress:
                report = images.add(*self.roots, only=self.roots, progress=progress, **options)
        else:
            report = images.add(*self.roots, only=sorted(self.todo), **options)
        if is_whole:
            self.rescan_at = time.monotonic() + _RESCAN_SECONDS
        self.todo, self.has_gone = set(), False
        self._tell(report)
        self.batches += 1

    def _tell(self, report: AddReport) -> None:
        done = {
            "added": report.added + report.reused,
            "updated": report.updated,
            "moved": report.moved,
            "removed": report.removed,
            "skipped": len(report.failed),
        }
        self.counts.update(done)
        if self.batches and not any(done.values()) and not report.facts:
            return
        for failure in report.failed:
            self.out.warn(f"skipped {failure}")
        if self.out.as_json:
            click.echo(json_of({"collection": self.collection, **document_of(report)}))
            sys.stdout.flush()
        else:
            self.out.say(summary_of(report, f"to {self.collection}"))
        if not self.batches:
            say_passed_over(self.out, report)
            self.out.say(f"Watching {', '.join(map(str, self.roots))}; Ctrl-C ends it.")

    def may_retry(self, error: DatabaseError) -> bool:
        """Whether the server may come back: it was there before."""
        return self.batches > 0 or (self.has_begun and isinstance(error, ConnectionFailed))

    def summary(self) -> str:
        """Return what was done since the start, in one line."""
        minutes = (time.monotonic() - self.began) / 60
        kinds = (f"{count:,} {kind}" for kind, count in self.counts.items() if count)
        length = f"{minutes:,.0f} {plural('minute', round(minutes))}"
        return f"Watched for {length}: {', '.join(kinds) or 'nothing changed'}."
