"""A group of three MySQL servers of the session's own."""

import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from examples.cluster.cluster import Cluster


@pytest.fixture(scope="session")
def formed(installed_mysqld: Path) -> Iterator[Cluster]:
    """A group whose members tests may kill and stop."""
    with tempfile.TemporaryDirectory(prefix="lk-") as folder:
        cluster = Cluster(Path(folder, "c"), installed_mysqld)
        try:
            cluster.form()
            yield cluster
        finally:
            cluster.stop()


@pytest.fixture
def group(formed: Cluster) -> Cluster:
    """The group, with all members online whatever the last test left."""
    formed.heal()
    return formed


@pytest.fixture
def url(group: Cluster) -> str:
    """The URL of a new, empty database in the group; it goes when the group does."""
    name = f"test_{uuid.uuid4().hex[:12]}"
    group.run_on_primary(f"CREATE DATABASE {name}")
    return group.url.replace("/lookalike", f"/{name}")
