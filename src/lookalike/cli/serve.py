"""`lookalike serve`: the web page and the HTTP API."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import click

from lookalike import InputError
from lookalike.cli.options import (
    collection_option,
    connect,
    database_option,
    index_memory_option,
    model_option,
    output_options,
)
from lookalike.cli.output import Output
from lookalike.core.paths import existing_folder
from lookalike.core.sizes import check_bytes

TOKEN_VARIABLE = "LOOKALIKE_TOKEN"


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="0: any."
)
@click.option(
    "--root",
    "roots",
    multiple=True,
    metavar="FOLDER",
    help="Allow adding images of this folder from the page. Can be repeated.",
)
@click.option(
    "--uploads",
    metavar="FOLDER",
    help="Where images that are added over HTTP are kept. Default: a folder of lookalike's own.",
)
@click.option(
    "--token",
    envvar=TOKEN_VARIABLE,
    metavar="TOKEN",
    help=f"What gives access. Default: the variable {TOKEN_VARIABLE}, or else a token of yours "
    "that is made once.",
)
@click.option("--no-token", is_flag=True, help="Let every user of this machine in.")
@click.option(
    "--allowed-host",
    "allowed_hosts",
    multiple=True,
    metavar="NAME",
    help="Another name of this server, as in its URL; for use behind a proxy. Can be repeated.",
)
@click.option(
    "--max-upload",
    metavar="SIZE",
    default="50M",
    show_default=True,
    callback=lambda context, option, size: check_bytes("--max-upload", size),
    help="The largest image.",
)
@click.option(
    "--thumbnail-cache",
    metavar="SIZE",
    default="1G",
    show_default=True,
    callback=lambda context, option, size: check_bytes("--thumbnail-cache", size),
    help="The most disk space for thumbnails.",
)
@click.option(
    "--log-format",
    type=click.Choice(["text", "json"]),
    default="text",
    show_default=True,
    help="Format of the log on standard error.",
)
@click.option(
    "--allow-private-urls", is_flag=True, help="Allow URLs of this machine and of private networks."
)
@click.option("--open", "open_page", is_flag=True, help="Open the page in a browser.")
@index_memory_option
@database_option
@collection_option
@model_option
@output_options
def serve(
    database: str | None,
    open_page: bool,
    max_upload: int,
    thumbnail_cache: int,
    out: Output,
    **options: Any,
) -> None:
    """Open a web page and an HTTP API for a collection.

    The address that is printed holds a token; who has it may search, add and remove images. Only
    this machine can connect, unless --host says more. Ctrl-C ends it; requests that run then are
    finished.
    """
    from lookalike.web import check_installed
    from lookalike.web import serve as run

    check_installed()  # before a server is started for nothing
    settings, addresses = _settings(max_upload, thumbnail_cache, **options)
    with connect(database, out, computes=True) as db:

        def ready(port: int) -> None:
            urls = {name: _url(settings.host, port, token) for name, token in addresses.items()}
            if out.as_json:
                out.json(urls)
            else:
                for name, url in urls.items():
                    click.echo(f"{name}: {url}")
                out.say("Ctrl-C ends it.")
            sys.stdout.flush()
            if open_page:
                click.launch(next(iter(urls.values())))

        run(db, settings, ready=ready)
    out.say("Stopped.")


def _settings(
    max_upload: int,
    thumbnail_cache: int,
    *,
    roots: tuple[str, ...],
    uploads: str | None,
    token: str | None,
    no_token: bool,
    **options: Any,
) -> tuple[Any, dict[str, str | None]]:
    """Return the settings, and the token of each address that is printed."""
    from lookalike.web.settings import Limits, Settings
    from lookalike.web.tokens import check_token, stored_tokens

    if no_token and token is not None:
        if click.get_current_context().get_parameter_source("token") is not _ENVIRONMENT:
            raise InputError("give --token or --no-token, not both")
        token = None
    read: str | None = None
    if token is not None:
        check_token(token)
    elif not no_token:
        token, read = stored_tokens()
    if uploads is not None:
        options["uploads"] = Path(uploads).expanduser().absolute()
    settings = Settings(
        token=token,
        read_token=read,
        roots=tuple(existing_folder(root) for root in roots),
        limits=Limits(upload_bytes=max_upload, thumbnails_bytes=thumbnail_cache),
        **options,
    )
    return settings, {"Page": token, **({"Read-only": read} if read else {})}


_ENVIRONMENT = click.core.ParameterSource.ENVIRONMENT


def _url(host: str, port: int, token: str | None) -> str:
    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    return f"http://{name}:{port}/" + (f"?token={token}" if token else "")
