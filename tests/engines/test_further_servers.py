"""A server that somebody has is tested by giving its URL."""

import os
import subprocess
import sys

import pytest

from tests.places import REPO


@pytest.mark.slow
def test_the_fixture_engine_takes_further_servers(server, mariadb):
    environment = os.environ | {"LOOKALIKE_TEST_DATABASES": f"{server.url},{mariadb.url}"}
    done = subprocess.run(
        [
            *(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-p", "no:xdist", "-v"),
            *("-k", "localhost and ties and euclidean", "tests/engines/test_searching.py"),
        ],
        cwd=REPO,
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert "2 passed" in done.stdout, done.stdout
    for name in ("mysql:localhost", "mariadb:localhost"):
        assert f"test_ties_are_broken_by_id[{name}-euclidean] PASSED" in done.stdout
