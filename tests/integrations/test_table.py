"""The tables of what works, which `make integrations` writes."""

from tests.integrations.table import BEGIN, DRIVERS, END, PAGES, table_of

TOLD = {
    "versions": {"SQLAlchemy": "2.1.9", "Django": "5.2", "pymysql": "PyMySQL 1.2"}
    | {name: name for name in ("mysql.connector", "MySQLdb", "asyncmy", "aiomysql")},
    "servers": {"MySQL": "9.7.4"},
}


def told(version, *outcomes):
    results = [
        {"framework": "SQLAlchemy", "driver": driver, "what": "distances", "outcome": outcome}
        for driver, outcome in outcomes
    ]
    return TOLD | {"results": results, "versions": TOLD["versions"] | {"SQLAlchemy": version}}


def test_a_cell_has_the_versions_that_passed():
    old = told("2.0.1", ("pymysql", "passed"), ("asyncmy", "passed"), ("asyncmy", "failed"))
    new = told("2.1.9", ("pymysql", "passed"), ("pymysql", "skipped"))
    lines = table_of("SQLAlchemy", [old, new]).splitlines()
    assert lines[0].startswith("|  | PyMySQL 1.2 | mysql.connector |")
    assert lines[2] == (
        "| distances | 2.0.1, 2.1.9 | not tested | not tested | **2.0.1 failed** | not tested | "
        "not tested |"
    )
    assert lines[-1] == "Tested on MySQL 9.7.4."


def test_the_pages_have_tables_in_which_nothing_failed():
    for framework, page in PAGES.items():
        table = page.read_text().partition(BEGIN)[2].partition(END)[0]
        rows = [line for line in table.splitlines() if line.startswith("| ")]
        assert len(rows) > 4 and "failed" not in table
        assert all(row.count("|") == len(DRIVERS[framework]) + 2 for row in rows)
