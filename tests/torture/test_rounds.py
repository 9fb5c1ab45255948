"""A small part of `make torture`: two rounds with kills, and the scenarios."""

import pytest

from tests.mortal_server import mortal_server
from tests.torture.run import run
from tests.torture.scenarios import LOCK_WAIT, SCENARIOS, Place
from tests.torture.summary import Summary

pytestmark = pytest.mark.nightly

SEED = 1


@pytest.fixture(scope="module")
def patient_server(installed_mysqld):
    """A server that waits for locks as long as a test can."""
    with mortal_server(installed_mysqld) as server:
        server.run(f"SET GLOBAL lock_wait_timeout = {LOCK_WAIT}")
        yield server


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.__name__)
def test_scenarios(scenario, patient_server):
    assert list(scenario(Place(patient_server, patient_server.new_database()))) == []


def test_nothing_is_lost_and_nothing_wrong_in_two_rounds(installed_mysqld):
    summary = Summary(SEED)
    run(installed_mysqld, summary, range(2), seconds=5.0, tell=print)
    assert summary.problems == []
    assert sum(r.kills for r in summary.rounds) >= 5
    assert sum(r.server_kills for r in summary.rounds) >= 1
    assert sum(r.searches for r in summary.rounds) >= 50
    assert sum(r.acknowledged for r in summary.rounds) >= 1000
