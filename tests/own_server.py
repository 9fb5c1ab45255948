"""A MySQL of a test's own with any options, on a copy of a data folder that is made once."""

import atexit
import functools
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.mortal_server import MortalServer, make_data


@functools.cache
def _template(mysqld: Path, made_with: tuple[str, ...]) -> Path:
    folder = tempfile.mkdtemp(prefix="lk-template-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    data = Path(folder, "data")
    make_data(mysqld, data, *made_with)
    return data


@contextmanager
def own_server(
    mysqld: Path, *options: str, made_with: tuple[str, ...] = ()
) -> Iterator[MortalServer]:
    """Run a server with these options; made_with: those that its data folder needs to be made."""
    with tempfile.TemporaryDirectory(prefix="lk-") as folder:
        data = _template(mysqld, made_with)
        server = MortalServer(mysqld, Path(folder), *made_with, *options, data=data)
        try:
            yield server
        finally:
            server.kill()
