"""Django on real servers: a project in a folder of its own, and its app `shop`."""

import importlib
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import django
import numpy as np
import pytest
from django.conf import settings

from tests.conftest import new_database
from tests.places import REPO

DRIVER = os.environ.get("LOOKALIKE_DJANGO_DRIVER", "pymysql")
"""What stands for MySQLdb: PyMySQL, which installs everywhere, or mysqlclient itself."""

DIM = 8
EMBEDDINGS = np.random.default_rng(3).standard_normal((300, DIM)).astype(np.float32)
QUERY = EMBEDDINGS[17] + np.float32(0.1)


def of_docs(file: str) -> str:
    """A file as docs/django.md shows it."""
    page = (REPO / "docs" / "django.md").read_text()
    (found,) = re.findall(rf"```py\n# {re.escape(file)}\n(.*?)```", page, re.S)
    return str(found)


def set_up(folder: Path) -> None:
    """Set Django up, once for the process."""
    app = folder / "shop"
    (app / "migrations").mkdir(parents=True)
    for name in ("__init__.py", "migrations/__init__.py"):
        (app / name).touch()
    models = of_docs("shop/models.py").replace("dimensions=512", f"dimensions={DIM}")
    (app / "models.py").write_text(models)
    sys.path.insert(0, str(folder))
    settings.configure(
        INSTALLED_APPS=["shop"],
        DATABASES={"default": {"ENGINE": "django.db.backends.mysql", "NAME": "unknown"}},
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        USE_TZ=True,
    )
    known = {name: module for name, module in sys.modules.items() if name[:7] == "MySQLdb"}
    if DRIVER == "pymysql":
        import pymysql

        pymysql.install_as_MySQLdb()
    importlib.import_module("django.db.backends.mysql.base")
    django.setup()
    if DRIVER == "pymysql":  # SQLAlchemy's tests want the real one
        for name in [name for name in sys.modules if name[:7] == "MySQLdb"]:
            del sys.modules[name]
        sys.modules.update(known)
        # The modules of MySQLdb.* have taken the places of PyMySQL's own.
        for name in [name for name in sys.modules if name[:8] == "pymysql."]:
            package, _, attribute = name.rpartition(".")
            setattr(sys.modules[package], attribute, sys.modules[name])


@pytest.fixture(scope="session")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the app, with Django set up."""
    folder = tmp_path_factory.mktemp("project")
    set_up(folder)
    return folder / "shop"


@pytest.fixture(scope="module", params=["mysql", "mariadb"])
def database(project: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    """The URL of a new database that Django uses, as lookalike takes it."""
    from django.db import connections

    server = request.getfixturevalue("mariadb" if request.param == "mariadb" else "server")
    with new_database(server) as url:
        parts = urlsplit(url)
        place = {"NAME": parts.path[1:], "USER": "root"}
        place["HOST"] = parse_qs(parts.query)["unix_socket"][0]
        connections.settings["default"] |= place
        del connections["default"]  # the next use connects anew, to this server
        yield url
        connections["default"].close()
