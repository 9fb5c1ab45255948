"""The table of engines in docs/engines.md: whole, and how it is made."""

import re

from lookalike.core.types import METRICS
from tests.conftest import ENGINES
from tests.engines.capabilities import CAPABILITIES
from tests.engines.table import PAGE, PASSED, TITLES, Result, committed, table_of, write
from tests.places import REPO


def test_the_committed_table_is_whole():
    """Every engine and capability; each note is there, and used."""
    (head, *rows), notes = committed()
    assert list(TITLES) == list(ENGINES)
    assert all(
        re.fullmatch(rf"{re.escape(title)} \d\S+", cell)
        for title, cell in zip(TITLES.values(), head[1:], strict=True)
    )
    assert [row[0] for row in rows] == list(CAPABILITIES.values())
    used = set()
    for row in rows:
        for cell in row[1:]:
            assert re.fullmatch(rf"({PASSED}|refused|in part)( \([\d, ]+\))?", cell), row
            assert cell == PASSED or "(" in cell
            used |= set(re.findall(r"\d+", cell))
    assert used == {note.partition(".")[0] for note in notes}
    assert all(len(note) > 20 and "Traceback" not in note for note in notes)


def test_each_capability_has_tests_and_each_mark_is_a_row():
    """So a table that lacks a row is noticed, and a row that nothing tests."""
    files = (REPO / "tests").rglob("test_*.py")
    marks = re.compile(r"\bcapability\(\"([^\"]+)\"\)")
    found = {name for file in files for name in marks.findall(file.read_text())}
    assert found | set(METRICS) == set(CAPABILITIES)


def test_servers_that_could_not_be_had_are_named():
    text = " ".join(PAGE.read_text().split())
    for name in ("TiDB", "HeatWave", "MySQL AI", "Percona"):
        assert name in text
    assert "no server could be had" in text.lower()


def test_results_become_words_and_notes(tmp_path):
    results = {
        ("rows", "mysql"): [Result("passed"), Result("passed")],
        ("rows", "mariadb"): [Result("passed"), Result("passed", ("It cannot.",))],
        ("bits", "mysql"): [Result("passed"), Result("failed")],
        ("bits", "mariadb"): [Result("passed", ("It cannot.",)), Result("skipped", ("No.",))],
        ("cosine", "mysql"): [Result("passed", (), ("By the client.",))],
        ("dot", "mysql"): [Result("passed", (), (), ("Not so long ones.",))],
    }
    table = table_of(
        results, {"mysql": "9.7.4", "mariadb": "11.8.9-MariaDB-0"}, ["mysql", "mariadb"]
    )
    lines = table.splitlines()
    assert lines[0] == "|  | MySQL 9.7.4 | MariaDB 11.8.9 |"
    assert f"| {CAPABILITIES['rows']} | passed | in part (1) |" in lines
    assert f"| {CAPABILITIES['bits']} | **failed** | refused (1, 2) |" in lines
    assert f"| {CAPABILITIES['cosine']} | passed (3) | not tested |" in lines
    assert f"| {CAPABILITIES['dot']} | in part (4) | not tested |" in lines
    told = ["1. It cannot.", "2. No.", "3. By the client.", "4. Not so long ones."]
    assert lines[-4:] == told
    page = tmp_path / "page.md"
    page.write_text("a\n<!-- made by `make engines` -->\nold\n<!-- end -->\nz\n")
    write(page, table)
    write(page, table)
    assert page.read_text().startswith("a\n<!-- made") and page.read_text().endswith(
        "<!-- end -->\nz\n"
    )
    assert committed(page)[0][0][1:] == ["MySQL 9.7.4", "MariaDB 11.8.9"]
    # What a later run does not test stays as it was.
    assert table_of({}, {}, ["mysql", "mariadb"], page.read_text()) == table
    later = {("rows", "mariadb"): [Result("passed")], ("bits", "mysql"): [Result("passed")]}
    again = table_of(later, {"mariadb": "12.0.2"}, ["mysql", "mariadb"], page.read_text())
    assert again.splitlines()[0] == "|  | MySQL 9.7.4 | MariaDB 12.0.2 |"
    assert f"| {CAPABILITIES['rows']} | passed | passed |" in again
    assert f"| {CAPABILITIES['bits']} | passed | refused (1, 2) |" in again
