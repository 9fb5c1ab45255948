"""An index in memory, and what happens to its server."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import lookalike
from tests.index.clusters import clustered, names
from tests.mortal_server import MortalServer, mortal_server
from tests.search.test_held import DIM, EXACT, WIDE, N, nearest, wait_until

pytestmark = pytest.mark.nightly


@pytest.fixture
def mortal(installed_mysqld: Path) -> Iterator[MortalServer]:
    with mortal_server(installed_mysqld) as server:
        yield server


@pytest.fixture
def vectors() -> np.ndarray:
    return clustered(N + 100, DIM)


def test_a_server_that_is_killed_and_starts_again(mortal, vectors):
    with lookalike.connect(mortal.new_database()) as db:
        own = db.collection("own", dim=DIM)
        own.add_embeddings(names(N), vectors[:N])
        with own.hold_index() as held:
            assert held.wait(30)
            for place in (N, N + 1):
                mortal.kill()
                mortal.start()
                (row_id,) = own.upsert(vectors[place : place + 1])
                found = own.explain(vectors[place], **WIDE)
                assert found.plan == EXACT and found.matches[0].id == row_id


def test_a_server_that_is_gone_while_the_index_is_loaded(mortal, vectors):
    with lookalike.connect(mortal.new_database()) as db:
        own = db.collection("own", dim=DIM)
        own.add_embeddings(names(N), vectors[:N])
        mortal.kill()
        with own.hold_index() as held:
            assert not held.wait(30) and held.state == "waiting"
            mortal.start()
            wait_until(lambda: own.explain(vectors[0]).plan == EXACT)
            assert [m.id for m in own.search(vectors[0], **WIDE)] == nearest(
                vectors[:N], vectors[0]
            )


def test_a_group_with_several_primaries_is_refused(mortal, vectors):
    mortal.run(
        "INSTALL PLUGIN group_replication SONAME 'group_replication.so'",
        "SET GLOBAL group_replication_enforce_update_everywhere_checks = OFF",
        "SET GLOBAL group_replication_single_primary_mode = OFF",
    )
    with lookalike.connect(mortal.new_database()) as db:
        own = db.collection("own", dim=DIM)
        own.add_embeddings(names(N), vectors[:N])
        with own.hold_index() as held:
            assert not held.wait(30)
            assert "several primaries" in held.status().refusal
            assert own.search(vectors[0])[0].id == 1
