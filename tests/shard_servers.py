"""A head and its shards for tests: servers that one module shares."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from examples.shards.servers import Servers


@contextmanager
def shard_servers(mariadbd: Path, n_shards: int = 4) -> Iterator[Servers]:
    """A head and shards with new data, which are removed afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="shards-"))  # paths of sockets are short
    servers = Servers(folder, mariadbd, n_shards)
    try:
        servers.start()
        yield servers
    finally:
        for server in [servers.head, *servers.shards.values()]:
            server.kill()  # their data are not needed any more
        shutil.rmtree(folder)
