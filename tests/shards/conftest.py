from collections.abc import Iterator
from pathlib import Path

import pytest

import lookalike
from examples.shards.servers import Servers
from tests.shard_servers import shard_servers

SHARDS = ["shard1", "shard2", "shard3"]


@pytest.fixture(scope="session")
def servers(installed_mariadbd: Path) -> Iterator[Servers]:
    """A head and three shards."""
    with shard_servers(installed_mariadbd, len(SHARDS)) as found:
        yield found


@pytest.fixture
def db(servers: Servers) -> Iterator[lookalike.Database]:
    """The head's database, without collections afterwards."""
    sizes = lookalike.IndexSizes(rows_for_cells=300)
    with lookalike.connect(servers.url, index_sizes=sizes) as db:
        yield db
        for name in db.collections():
            db.delete_collection(name)
