"""The mysql client on lookalike's database."""

import os
import subprocess
from collections.abc import Callable, Sequence

from lookalike.client import URL_VARIABLE
from lookalike.database.url import DatabaseURL
from lookalike.server.client import find_client, open_client
from lookalike.server.private import PrivateServer


def open_shell(
    url: str | None = None,
    args: Sequence[str] = (),
    *,
    before: Callable[[], object] = lambda: None,
) -> int:
    """Run the mysql client on the database that `connect` would use.

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
    private = PrivateServer()
    given = url or os.environ.get(URL_VARIABLE)
    if not given:
        private.start()
        before()
        return subprocess.run(private.client_command(args), check=False).returncode
    found = DatabaseURL.parse(given)
    if found.options.get("unix_socket") == str(private.socket):
        private.start()  # this also checks that the server is this user's own
    client = find_client(private.client())
    before()
    return open_client(
        client,
        user=found.user,
        password=found.password,
        host=found.host,
        port=found.port,
        database=found.database,
        options=found.options,
        args=args,
    )
