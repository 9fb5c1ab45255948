"""Say what adding files did: on a terminal, and as JSON."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING

from lookalike.cli.output import Output

if TYPE_CHECKING:
    from lookalike import AddReport


@contextmanager
def progress_bar(out: Output, what: str) -> Iterator[Callable[[int, int | None], None]]:
    """Show a progress bar of images; yield what tells it (done, total)."""
    with out.progress("images") as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


def print_report(out: Output, report: AddReport, where: str) -> None:
    """Report what was done; --json reports the counts elsewhere."""
    for failure in report.failed:
        out.warn(f"skipped {failure}")
    if not out.as_json:
        out.say(summary_of(report, where))
        say_passed_over(out, report)
        if out.verbose:
            rates = (f"{stage} {rate:,.0f}" for stage, rate in report.stages.items())
            out.say(f"Speed of each stage, in images/s: {', '.join(rates)}.")


def say_passed_over(out: Output, report: AddReport) -> None:
    """Say which files were passed over that somebody may have expected, if there are any."""
    kinds = sorted(report.passed_over.items(), key=lambda kind: (-kind[1], kind[0]))
    remedy = f" (RAW: {report.raw_remedy})" if report.raw_remedy else ""
    if kinds:
        told = ", ".join(f"{count:,} {suffix}" for suffix, count in kinds)
        out.say(f"Passed over: {told}{remedy}.")


def document_of(report: AddReport) -> dict[str, object]:
    """Return a report for JSON."""
    counts = asdict(report)
    for kind in ("failed", "failed_before"):
        counts[kind] = [{"path": f.path, "reason": f.reason} for f in getattr(report, kind)]
    counts["seconds"] = round(report.seconds, 3)
    counts["stages"] = {stage: round(rate, 1) for stage, rate in report.stages.items()}
    return {**counts, "images_per_second": round(report.images_per_second, 2)}


def summary_of(report: AddReport, where: str) -> str:
    """Return a report in one line; where: such as "to photos"."""
    stored = report.added + report.reused
    copies = f" ({report.reused:,} from copies already embedded)" if report.reused else ""
    parts = [f"Added {stored:,} {plural('image', stored)} {where}{copies}"]
    others = {
        "moved": report.moved,
        "updated": report.updated,
        "unchanged": report.unchanged,
        "removed": report.removed,
        "with facts read": report.facts,
        "no longer exist (--prune removes their rows)": report.gone,
        "skipped": len(report.failed),
        "still unreadable (`lookalike failures` lists them)": len(report.failed_before),
    }
    parts += [f"{count:,} {what}" for what, count in others.items() if count]
    speed = f" ({report.images_per_second:.1f} images/s)" if stored + report.updated else ""
    return ", ".join(parts) + speed + "."


def plural(noun: str, count: int) -> str:
    """Return a noun as it stands after a number."""
    return noun if count == 1 else noun + "s"
