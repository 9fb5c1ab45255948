"""Kill the primary of three servers in the middle of an `add`: the run finishes, a search answers.

    python -m examples.cluster.demo

What runs where is said on the way. Everything is removed at the end.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path

from examples.cluster.cluster import Cluster, Node

PHOTOS = Path(__file__).parents[1] / "photos"
LOOKALIKE = [sys.executable, "-m", "lookalike"]


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="lk-") as folder:
        cluster = Cluster(Path(folder, "cluster"))
        try:
            _show(cluster)
        finally:
            cluster.stop()


def _show(cluster: Cluster) -> None:
    say("Forming a group of three servers on 127.0.0.1")
    started = time.monotonic()
    cluster.form()
    show_members(cluster)
    say(f"It took {time.monotonic() - started:.0f} s. Adding {PHOTOS.name} to {cluster.url}")
    adding = subprocess.Popen([*LOOKALIKE, "add", str(PHOTOS), "--database", cluster.url])
    primary = cluster.primary
    assert primary is not None
    while adding.poll() is None and not _is_begun(primary):
        time.sleep(0.02)
    if adding.poll() is not None:
        raise SystemExit("the run was over before the kill")
    say(f"It embeds images: kill -9 of the primary, 127.0.0.1:{primary.port}")
    primary.kill()
    killed = time.monotonic()
    status = adding.wait()
    if status != 0:
        raise SystemExit(status)
    say(f"The run has finished, {time.monotonic() - killed:.0f} s after the kill")
    show_members(cluster)
    say("A search, which a secondary answers")
    search = ["search", str(PHOTOS / "cat.jpg"), "-k", "3", "--database", cluster.url]
    subprocess.run([*LOOKALIKE, *search], check=True)
    say("The killed server starts again and joins the group")
    cluster.restart(primary)
    show_members(cluster)
    counted = "SELECT COUNT(*), COUNT(DISTINCT path) FROM lookalike.image_embeddings_files"
    rows = primary.run(counted)[0]
    say(f"It has all {rows[0]} images, of {rows[1]} files: nothing is lost, nothing twice")


def _is_begun(node: Node) -> bool:
    """Whether the collection is there."""
    return bool(node.run("SHOW TABLES IN lookalike LIKE 'image_embeddings_files'"))


def show_members(cluster: Cluster) -> None:
    """Print each member's state and role."""
    for port, (state, role) in sorted(cluster.members().items()):
        print(f"      127.0.0.1:{port} {state} {role}", flush=True)


def say(line: str) -> None:
    """Print a step of the demo."""
    print(f"==> {line}", flush=True)


if __name__ == "__main__":
    main()
