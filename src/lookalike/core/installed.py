"""The pip command that adds an extra to this installation of lookalike."""

import json
import shlex
import sys
from importlib import metadata
from pathlib import Path
from urllib.parse import unquote, urlsplit


def install_command(extra: str) -> str:
    """Return the pip command, for a POSIX shell, that adds an extra to this installation.

    It names the checkout or wheel that lookalike was installed from, because no package index may
    have it. If that source is gone, it names the extra's requirements.
    """
    target = _source(extra) or _requirements(extra)
    return shlex.join([sys.executable, "-m", "pip", "install", *target])


def _source(extra: str) -> list[str]:
    """Return pip's name for this extra of the installed lookalike; empty if its source is gone."""
    try:
        installed = metadata.distribution("lookalike")
    except metadata.PackageNotFoundError:  # a source tree on the path
        root = Path(__file__).parents[2]
        return [f"{root}[{extra}]"] if (root / "pyproject.toml").is_file() else []
    try:
        url = str(json.loads(installed.read_text("direct_url.json") or "{}").get("url", ""))
    except ValueError:
        url = ""
    if not url:
        return [f"lookalike[{extra}]=={installed.version}"]
    path = Path(unquote(urlsplit(url).path))
    if not url.startswith("file:"):
        return [f"lookalike[{extra}] @ {url}"]
    if path.is_file() or (path / "pyproject.toml").is_file():
        return [f"{path}[{extra}]"]
    return []


def _requirements(extra: str) -> list[str]:
    """Return the packages that an extra installs."""
    try:
        every = metadata.requires("lookalike") or []
    except metadata.PackageNotFoundError:
        return [f"lookalike[{extra}]"]
    marked = (requirement.partition(";") for requirement in every)
    return [
        name.strip()
        for name, _, marker in marked
        if marker.replace('"', "'").strip() == f"extra == '{extra}'"
    ]
