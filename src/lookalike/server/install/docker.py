"""Install a server from its Docker image into a folder.

The server does not run in a container: the image's programs and libraries are copied out and run
through the image's own loader, like Debian's packages. The steps are tested with a fake `docker`
command; they have not run on a real Docker engine yet.
"""

import shutil
import subprocess
import sys
from pathlib import Path

from lookalike.core.errors import ServerError
from lookalike.core.progress import StepProgress
from lookalike.server.commands import run
from lookalike.server.engine import MYSQL, Engine

MEGABYTES = 2500  # disk space for the image in Docker's store and our copy


def runs() -> bool:
    """Whether a Docker engine runs whose Linux programs work on this machine."""
    if sys.platform != "linux" or shutil.which("docker") is None:
        return False
    try:
        answer = subprocess.run(
            ["docker", "info"], stdin=subprocess.DEVNULL, capture_output=True, timeout=30
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return answer.returncode == 0


def unpack(tree: Path, engine: Engine = MYSQL, *, progress: StepProgress) -> None:
    """Copy a server's files from its image into `tree`."""
    image = engine.origin.image
    failure = f"Docker could not give its image {image}"

    def tell() -> None:
        progress(f"Downloading Docker's image {image}", 0, 0)

    tell()
    run(["docker", "pull", "--quiet", image], failure=failure, meanwhile=tell)
    container = run(["docker", "create", image], failure=failure).split()[-1]
    try:
        progress(f"Unpacking {engine.title}", 0, 0)
        tree.mkdir()
        _copy(container, tree, engine)
    finally:
        run(["docker", "rm", container], failure=f"Docker could not remove {container}")


def _copy(container: str, tree: Path, engine: Engine) -> None:
    wanted = (f"usr/sbin/{engine.program}", f"usr/bin/{engine.client}", *engine.origin.image_files)
    with subprocess.Popen(
        ["docker", "export", container],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as export:
        copied = subprocess.run(
            ["tar", "-x", "-C", str(tree), "--no-same-owner", "--wildcards", *wanted],
            stdin=export.stdout,
            capture_output=True,
            text=True,
            errors="replace",
        )
    # tar also fails for wanted names that this image lacks, so check the result instead.
    if not (tree / wanted[0]).is_file():
        image = engine.origin.image
        raise ServerError(f"Docker's image {image} could not be unpacked\n{copied.stderr.strip()}")
