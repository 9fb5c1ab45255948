"""What building an index takes, or loading it into memory, in a process that has done nothing else.

python -m benchmarks.fresh build|codes|vectors URL COLLECTION
"""

import argparse
import json
import re
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import lookalike
from benchmarks.hold import hold


@dataclass(frozen=True)
class Fresh:
    """Seconds, and bytes of memory.

    before, peak: of the process, before it and at most. held: of what is in memory after it.
    """

    seconds: float
    before: int
    peak: int
    held: int


def run(what: str, url: str, collection: str) -> Fresh:
    """Run it in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.fresh", what, url, collection],
        cwd=Path(__file__).parents[1],
        stdout=subprocess.PIPE,
        check=True,
        text=True,
    )
    return Fresh(**json.loads(done.stdout.splitlines()[-1]))


def measure(what: str, url: str, name: str) -> Fresh:
    """Build an index, or load it; in this process."""
    with lookalike.connect(url) as db:
        collection = db.collection(name)
        before, start, held = _memory("VmRSS"), time.perf_counter(), 0
        if what == "build":
            collection.index.build()
        else:
            held = _load(collection, what)
        seconds = time.perf_counter() - start
    return Fresh(seconds, before, _memory("VmHWM"), held)


def _load(collection: lookalike.Collection, what: str) -> int:
    with hold(collection, "vectors" if what == "vectors" else "codes") as held:
        return held.status().nbytes


def _memory(which: str) -> int:
    """Return a size of this process by Linux's name for it, in bytes."""
    found = re.search(rf"{which}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    if found is None:
        raise SystemExit(f"there is no {which} here")
    return int(found[1]) * 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("what", choices=("build", "codes", "vectors"))
    parser.add_argument("url")
    parser.add_argument("collection")
    print(json.dumps(asdict(measure(*vars(parser.parse_args()).values()))))


if __name__ == "__main__":
    main()
