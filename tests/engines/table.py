"""Run the tests of engines, and write what each engine can do into docs/engines.md."""

import re
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.engines.capabilities import CAPABILITIES
from tests.places import REPO

PAGE = REPO / "docs" / "engines.md"
BEGIN, END = "<!-- made by `make engines` -->\n", "<!-- end -->"
TITLES = {
    "mysql": "MySQL",
    "mysql_native": "MySQL with DISTANCE",
    "mariadb": "MariaDB",
    "oceanbase": "OceanBase (seekdb)",
}
"""{engine in the tests' names: what the table calls it}"""
ENGINE_PARAMETERS = ("engine", "module_engine", "engine_name")
PASSED, FAILED, UNTESTED = "passed", "**failed**", "not tested"


class Result(NamedTuple):
    """What one test says of an engine: why it is not there, or a part is not, or how it is done."""

    outcome: str
    refusals: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()


MAKES_THE_TABLE = "table_of_engines"
"""The name of the plugin that does."""


class Recorder:
    """A plugin of pytest that keeps the results by capability and engine, and versions."""

    def __init__(self) -> None:
        self.__name__ = MAKES_THE_TABLE
        self.results: dict[tuple[str, str], list[Result]] = defaultdict(list)
        self.versions: dict[str, str] = {}

    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        items[:] = [item for item in items if engine_of(item) is not None]

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self, item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
        report: pytest.TestReport = yield
        db = next(
            (db for name in ("engine", "module_engine") if (db := item.funcargs.get(name))), None
        )
        engine = engine_of(item)
        if engine is None:
            return report
        if db is not None and engine not in self.versions:
            self.versions[engine] = str(db.connection.value(db.dialect.version()))
        if report.when == "call" or report.outcome != "passed":
            for mark in item.iter_markers("capability"):
                self.results[mark.args[0], engine].append(_result(report))
        return report


def engine_of(item: pytest.Item) -> str | None:
    """Return the engine that a test runs on; None if it is not one of engines."""
    params = getattr(getattr(item, "callspec", None), "params", {})
    return next((params[name] for name in ENGINE_PARAMETERS if name in params), None)


def _result(report: pytest.TestReport) -> Result:
    properties = report.user_properties
    refusals = [str(text) for name, text in properties if name == "refused"]
    if report.outcome == "skipped":
        is_expected = hasattr(report, "wasxfail")
        reason = report.wasxfail if is_expected else str(report.longrepr[2])  # type: ignore[index]
        refusals.append(reason.removeprefix("reason: ").removeprefix("Skipped: "))
    remarks, parts = (
        tuple(str(text) for name, text in properties if name == kind) for kind in ("remark", "part")
    )
    return Result(report.outcome, tuple(refusals), remarks, parts)


class Cell(NamedTuple):
    """What the table says of a capability of an engine, and why."""

    word: str = UNTESTED
    notes: tuple[str, ...] = ()


def table_of(
    results: Mapping[tuple[str, str], Iterable[Result]],
    versions: Mapping[str, str],
    engines: Iterable[str],
    before: str = "",
) -> str:
    """Return the table with its notes, as Markdown.

    before: a page with an earlier table, whose cells stay where nothing was tested now.
    """
    columns = list(engines)
    heads, cells = _read(before)
    titles = [TITLES.get(each, each) for each in columns]
    tested = [
        f"{title} {_short(versions[each])}" if each in versions else heads.get(title, title)
        for each, title in zip(columns, titles, strict=True)
    ]
    lines = [_row(["", *tested]), _row(["---"] * (len(columns) + 1))]
    numbers: dict[str, int] = {}
    for name, capability in CAPABILITIES.items():
        row = [capability]
        for each, title in zip(columns, titles, strict=True):
            found = list(results.get((name, each), ()))
            cell = _cell(found) if found else cells.get((capability, title), Cell())
            told = ", ".join(str(numbers.setdefault(it, len(numbers) + 1)) for it in cell.notes)
            row.append(f"{cell.word} ({told})" if told else cell.word)
        lines.append(_row(row))
    return "\n".join([*lines, "", *(f"{n}. {note}" for note, n in numbers.items())]) + "\n"


def _read(page: str) -> tuple[dict[str, str], dict[tuple[str, str], Cell]]:
    """Return the heads of a page's columns by title, and its cells by capability and title."""
    rows, noted = parsed(page)
    if not rows:
        return {}, {}
    notes = dict(note.split(". ", 1) for note in noted)
    heads = {head.rpartition(" ")[0]: head for head in rows[0][1:]}
    cells = {}
    for capability, *others in rows[1:]:
        for title, text in zip(heads, others, strict=True):
            word, _, numbers = text.removesuffix(")").partition(" (")
            told = tuple(notes[number] for number in numbers.split(", ") if number)
            cells[capability, title] = Cell(word, told)
    return heads, cells


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _short(version: str) -> str:
    found = re.search(r"seekdb-v([\d.]+)", version) or re.match(r"([\d.]+)", version)
    return found[1] if found else "?"


def _cell(results: list[Result]) -> Cell:
    if any(each.outcome == "failed" for each in results):
        return Cell(FAILED)
    refusals = [text for each in results for text in each.refusals]
    parts = [text for each in results for text in each.parts]
    remarks = [text for each in results for text in each.remarks]
    word = PASSED
    if refusals or parts:
        word = "refused" if all(each.refusals for each in results) else "in part"
    return Cell(word, tuple(dict.fromkeys(refusals + parts + remarks)))


def main(arguments: list[str]) -> int:
    """Run the tests; write the page, or print the table if further servers are tested too."""
    from tests.conftest import ENGINES, OTHERS

    recorder = Recorder()
    options = ["-q", "-m", "capability", "-p", "no:cacheprovider", *arguments]
    status = int(pytest.main([*options, str(REPO / "tests")], plugins=[recorder]))
    before = "" if OTHERS else PAGE.read_text()
    table = table_of(recorder.results, recorder.versions, [*ENGINES, *OTHERS], before)
    if OTHERS or status == pytest.ExitCode.INTERRUPTED:
        print(table)
        return status
    write(PAGE, table)
    print(f"Wrote {PAGE.relative_to(REPO)}.")
    return status


def write(page: Path, table: str) -> None:
    """Replace the table of a page."""
    text = page.read_text()
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}")


def committed(page: Path = PAGE) -> tuple[list[list[str]], list[str]]:
    """Return the rows of the page's table, with the head first, and the notes."""
    return parsed(page.read_text())


def parsed(page: str) -> tuple[list[list[str]], list[str]]:
    """Return the same of the text of a page."""
    _, _, rest = page.partition(BEGIN)
    lines = rest.partition(END)[0].strip().splitlines()
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in lines if line[:1] == "|"
    ]
    return rows[:1] + rows[2:], [line for line in lines if line[:1].isdigit()]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
