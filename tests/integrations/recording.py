"""A plugin of pytest that notes which tests with the mark `works` have passed, for `table`."""

import json
import os
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

RESULTS_VARIABLE = "LOOKALIKE_RESULTS"
PACKAGES = {
    "pymysql": "PyMySQL",
    "mysql.connector": "mysql-connector-python",
    "MySQLdb": "mysqlclient",
    "asyncmy": "asyncmy",
    "aiomysql": "aiomysql",
}

_results: list[dict[str, str]] = []
_servers: dict[str, str] = {}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep the tests that say what works, with which driver."""
    items[:] = [item for item in items if item.get_closest_marker("works") and _driver(item)]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: Any, call: pytest.CallInfo[None]) -> Any:
    """Note the result of a test."""
    report: pytest.TestReport = yield
    if report.when == "call" or report.failed:
        mark = item.get_closest_marker("works")
        framework = "Django" if "database" in item.callspec.params else "SQLAlchemy"
        where = {"framework": framework, "driver": _driver(item), "outcome": report.outcome}
        _results.append({"what": mark.args[0], **where})
    if report.when == "call" and (run := item.funcargs.get("run")):
        kind = "MariaDB" if _driver(item) == "mariadb" else "MySQL"
        if kind not in _servers:
            version = run(lambda connection: connection.scalar(text("SELECT VERSION()")))
            _servers[kind] = str(version).partition("-")[0]
    return report


def pytest_sessionfinish() -> None:
    """Write the results and all versions."""
    versions = {"SQLAlchemy": metadata.version("sqlalchemy"), "Django": metadata.version("django")}
    for module, package in PACKAGES.items():
        try:
            versions[module] = f"{package} {metadata.version(package)}"
        except metadata.PackageNotFoundError:
            versions[module] = package
    told = {"results": _results, "versions": versions, "servers": _servers}
    Path(os.environ[RESULTS_VARIABLE]).write_text(json.dumps(told))


def _driver(item: Any) -> str | None:
    params = getattr(getattr(item, "callspec", None), "params", {})
    if "database" in params:
        return f"{os.environ.get('LOOKALIKE_DJANGO_DRIVER', 'pymysql')} {params['database']}"
    return params.get("driver")
