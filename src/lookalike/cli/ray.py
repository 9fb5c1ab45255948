"""Options of embedding on a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import click

from lookalike import InputError, RayCluster

HERE = "here"
"""What `--ray` without an address means."""


Workers = tuple[int, int | None]


def _workers(context: click.Context, option: click.Parameter, value: str | None) -> Workers | None:
    if value is None:
        return None
    least, colon, most = value.partition(":")
    try:
        return int(least), (int(most) if most else None) if colon else int(least)
    except ValueError:
        raise click.BadParameter(f"{value!r} is neither a number nor MIN:MAX") from None


def ray_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --ray, --workers and --gpus-per-worker."""
    for option in (
        click.option(
            "--gpus-per-worker",
            type=float,
            metavar="F",
            help="With --ray: GPUs of each worker; 0.5 lets two share one. Default: 0, the CPU.",
        ),
        click.option(
            "--workers",
            callback=_workers,
            metavar="MIN:MAX",
            help="With --ray: least and most processes that hold the model; `4` is 4:4, `2:` has "
            "no most. Default: 1 to as many as there is room for.",
        ),
        click.option(
            "--ray",
            "address",
            is_flag=False,
            flag_value=HERE,
            metavar="[ADDRESS]",
            help="Decode and embed on a Ray cluster, whose machines see the same paths: HOST:PORT "
            "of its head, or auto for the one that runs here. Without ADDRESS, give it after "
            "PATH: Ray is started here, on loopback, and ends with the command.",
        ),
    ):
        command = option(command)
    return command


def cluster_of(
    address: str | None, workers: Workers | None, gpus: float | None
) -> RayCluster | None:
    """Return the cluster that the options name. Raises UsageError if they do not fit together."""
    if address is None:
        for name, value in (("--workers", workers), ("--gpus-per-worker", gpus)):
            if value is not None:
                raise click.UsageError(f"{name} needs --ray")
        return None
    try:
        return RayCluster(None if address == HERE else address, workers or (1, None), gpus or 0.0)
    except InputError as error:
        hint = "" if address == HERE else "; without an address, give --ray after PATH"
        raise click.UsageError(f"--ray: {error}{hint}") from error
