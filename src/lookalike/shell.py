"""The engine's own client on lookalike's database."""

import os
import subprocess
from collections.abc import Callable, Sequence

from lookalike.client import URL_VARIABLE, connect
from lookalike.database.url import DatabaseURL
from lookalike.server.address import private_at, private_of
from lookalike.server.client import find_client, open_client
from lookalike.server.engine import ENGINES, MYSQL
from lookalike.server.private import PrivateServer


def open_shell(
    url: str | None = None,
    args: Sequence[str] = (),
    *,
    before: Callable[[], object] = lambda: None,
) -> int:
    """Run the mysql or mariadb client on the database that `connect` would use.

    Args:
        url: As for `connect`.
        args: Passed to the client.
        before: Called just before the client runs.

    Returns:
        The client's exit status.

    Raises:
        InputError: The URL is not valid.
        ServerError: No client is installed.
    """
    given = url or os.environ.get(URL_VARIABLE)
    if address := private_of(given):
        private = PrivateServer(engine=address.engine.name)
        private.start()
        before()
        return subprocess.run(private.client_command(args), check=False).returncode
    found = DatabaseURL.parse(given or "")
    if found.members:
        with connect(given) as db:
            found = db.connection.url_of_primary
    if address := private_at(found.options.get("unix_socket")):
        # This also checks that the server is this user's own.
        PrivateServer(engine=address.engine.name).start()
    engine = ENGINES.get(found.scheme, MYSQL)
    client = find_client(PrivateServer(engine=engine.name).client(), engine)
    before()
    return open_client(
        client,
        engine,
        user=found.user,
        password=found.password,
        host=found.host,
        port=found.port,
        database=found.database,
        options=found.options,
        args=args,
    )
