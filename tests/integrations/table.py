"""Run the tests of SQLAlchemy and Django with each version; write what works into the docs."""

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.integrations.recording import RESULTS_VARIABLE
from tests.places import REPO

BEGIN, END = "<!-- made by `make integrations` -->\n", "<!-- end -->"
OLDER = REPO / ".venv-test" / "sqlalchemy-2.0"
"""Where `make integrations` puts the older SQLAlchemy."""

PAGES = {"SQLAlchemy": REPO / "docs" / "sqlalchemy.md", "Django": REPO / "docs" / "django.md"}
DRIVERS = {
    "SQLAlchemy": ("pymysql", "mysql.connector", "MySQLdb", "asyncmy", "aiomysql", "mariadb"),
    "Django": ("MySQLdb mysql", "MySQLdb mariadb", "pymysql mysql", "pymysql mariadb"),
}
SHOWN = {"mysql": "MySQL", "mariadb": "MariaDB"}


def run(folder: str, **environment: str) -> dict[str, Any]:
    """Run the tests in a process of their own, and return what they noted."""
    file = Path(folder, "results.json")
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-m", "works", "--tb", "short"]
    command += ["-p", "tests.integrations.recording", "-p", "no:cacheprovider"]
    command += [str(path) for path in (REPO / "tests/integrations").glob("*") if path.is_dir()]
    subprocess.run(
        command, cwd=REPO, env=os.environ | environment | {RESULTS_VARIABLE: str(file)}, check=False
    )
    told: dict[str, Any] = json.loads(file.read_text())
    return told


def runs() -> list[dict[str, Any]]:
    """Run the tests with each version that is installed."""
    with tempfile.TemporaryDirectory() as folder:
        found = []
        if OLDER.exists():
            path = os.pathsep.join([str(OLDER), os.environ.get("PYTHONPATH", "")])
            found.append(run(folder, PYTHONPATH=path, LOOKALIKE_DJANGO_DRIVER=_other_driver()))
        return [*found, run(folder)]


def _other_driver() -> str:
    return "MySQLdb" if importlib.util.find_spec("MySQLdb") else "pymysql"


def table_of(framework: str, told: Iterable[dict[str, Any]]) -> str:
    """Return the table of a framework as Markdown: which versions pass, by driver."""
    told = list(told)
    versions, servers = told[-1]["versions"], told[-1]["servers"]
    heads = [_head(driver, versions) for driver in DRIVERS[framework]]
    lines = [_row(["", *heads]), _row(["---"] * (len(heads) + 1))]
    names = [each["what"] for one in told for each in one["results"] if _is(each, framework)]
    for what in dict.fromkeys(names):
        cells = [_cell(framework, driver, what, told) for driver in DRIVERS[framework]]
        lines.append(_row([what, *cells]))
    tested = " and ".join(f"{name} {version}" for name, version in sorted(servers.items()))
    return "\n".join([*lines, "", f"Tested on {tested}."]) + "\n"


def _head(driver: str, versions: dict[str, str]) -> str:
    module, _, server = driver.partition(" ")
    if module == "mariadb":
        module, server = "pymysql", "mariadb"
    return versions[module] + (f", {SHOWN[server]}" if server else "")


def _cell(framework: str, driver: str, what: str, told: list[dict[str, Any]]) -> str:
    cells = {}
    for one in told:
        outcomes = {
            each["outcome"]
            for each in one["results"]
            if _is(each, framework) and each["driver"] == driver and each["what"] == what
        }
        version = one["versions"][framework]
        if "failed" in outcomes:
            cells[version] = f"**{version} failed**"
        elif "passed" in outcomes:
            cells.setdefault(version, version)
    return ", ".join(cells.values()) or "not tested"


def _is(result: dict[str, str], framework: str) -> bool:
    return result["framework"] == framework


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def write(page: Path, table: str) -> None:
    """Replace the table of a page."""
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n{table}\n{END}{after}")


if __name__ == "__main__":
    told = runs()
    for framework, page in PAGES.items():
        write(page, table_of(framework, told))
        print(f"Wrote {page.relative_to(REPO)}.")
