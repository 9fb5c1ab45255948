"""One run of the fuzz: files are mutated, added by another process, and accounted for."""

import json
import os
import re
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGKILL, SIGSTOP
from statistics import median

import psutil

import lookalike
from tests.fuzz.mutations import SOUND, write_files
from tests.fuzz.worker import COLLECTION
from tests.places import REPO

SAMPLE_SECONDS = 0.2
KILL_SECONDS = 6.0
"""How old a child becomes, but for the oldest."""
HANG = 2
"""This one of the children that are killed is only stopped, and so hangs."""
CRASHED = "its decoder crashed"
STARTED = "a-program-was-started"
MEGABYTE = 2**20


@dataclass
class Sample:
    """Memory in bytes at some moment: of the process that adds, and of each child."""

    parent: int
    children: dict[int, int]
    """By process id, the oldest child first."""


@dataclass
class Result:
    """What has become of the files."""

    seed: int
    n_files: int
    stored: int
    failed: int
    seconds: float
    slowest: list[tuple[float, str]]
    memory: list[tuple[int, int]] = field(repr=False)
    reasons: dict[str, str]
    kills: int
    samples: list[Sample] = field(repr=False)
    problems: list[str]

    @property
    def crashes(self) -> list[str]:
        """Files that have crashed their decoder, but for those where the fuzz has killed it."""
        reasons = self.reasons.items()
        return [name for name, reason in reasons if CRASHED in reason and "SIGKILL" not in reason]

    @property
    def killed(self) -> list[str]:
        """Files that were at a decoder when it was killed."""
        reasons = self.reasons.items()
        return [name for name, reason in reasons if CRASHED in reason and "SIGKILL" in reason]

    @property
    def timeouts(self) -> list[str]:
        """Files that were not decoded in time."""
        return [name for name, reason in self.reasons.items() if "not decoded within" in reason]

    def memory_after(self, files: slice) -> tuple[float, float]:
        """Return the median MiB of the parent, and of the child that had the most files.

        files: of those of that child. It is measured when the child is done with one.
        """
        sizes = self.memory[files] or [(0, 0)]
        return tuple(median(column) / MEGABYTE for column in zip(*sizes, strict=True))


def fuzz(
    folder: Path, database: str, n_files: int, seed: int, *, time_limit: float, heavy: bool = True
) -> Result:
    """Add mutated files to an empty database, and list all that is not as it should be.

    folder: an empty one, for the files. database: its URL. time_limit: for decoding one file, in
    seconds. heavy: whether there are bombs of which one takes seconds.
    """
    images = folder / "images"
    images.mkdir()
    files = write_files(images, n_files, seed, heavy=heavy)
    with (folder / "stderr").open("wb") as errors:
        worker = subprocess.Popen(
            [sys.executable, "-m", "tests.fuzz.worker", database, images, str(time_limit)],
            stdout=subprocess.PIPE,
            stderr=errors,
            cwd=REPO,
            env=_environment(folder),
            text=True,
        )
    watch = _Watch(worker)
    report = watch.run(limit=300 + n_files / 5)
    told = (folder / "stderr").read_text(errors="replace")
    problems = []
    if worker.returncode:
        problems.append(f"it ended with status {worker.returncode}")
    if told:
        problems.append(f"it wrote to standard error: {told[-2000:]}")
    problems += watch.left_behind()
    if (folder / STARTED).exists():
        problems.append("a program was started for an image")
    result = Result(
        seed, n_files, **report, kills=watch.kills, samples=watch.samples, problems=problems
    )
    problems += _unaccounted(database, files, result)
    # Where a child has to be started and the machine is busy, that takes a while.
    seconds, name = result.slowest[-1]
    if seconds > time_limit + 15:
        problems.append(f"{name} took {seconds:.1f} s, with a limit of {time_limit:g} s")
    return result


def _environment(folder: Path) -> dict[str, str]:
    """Return an environment where programs that images may start leave a trace."""
    programs = folder / "bin"
    programs.mkdir()
    for name in ("gs", "gswin32c", "djpeg", "xv", "display"):
        program = programs / name
        program.write_text(f"#!/bin/sh\ntouch '{folder / STARTED}'\n")
        program.chmod(0o755)
    return {
        **os.environ,
        "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": os.pathsep.join(sys.path),
    }


class _Watch:
    """Watches a process and its children while it works, and kills the youngest now and then."""

    def __init__(self, worker: "subprocess.Popen[str]") -> None:
        self._worker = worker
        self._process = psutil.Process(worker.pid)
        self._done = 0
        self._seen: set[psutil.Process] = set()
        self._hit: set[psutil.Process] = set()
        self._ended = threading.Event()
        self.samples: list[Sample] = []

    def run(self, limit: float) -> dict[str, object]:
        """Return what the process tells at its end; it is killed after `limit` seconds."""
        timer = threading.Timer(limit, self._worker.kill)
        sampler = threading.Thread(target=self._sample)
        timer.start()
        sampler.start()
        told: dict[str, object] = {}
        assert self._worker.stdout is not None
        for line in self._worker.stdout:
            told = json.loads(line)
            self._done = int(told.get("done", self._done))
        self._worker.wait()
        self._worker.stdout.close()
        timer.cancel()
        self._ended.set()
        sampler.join()
        return told if "stored" in told else _NOTHING

    def _sample(self) -> None:
        while not self._ended.wait(SAMPLE_SECONDS):
            try:
                children = self._process.children(recursive=True)
                self._seen.update(children)
                children.sort(key=lambda child: child.create_time())
                sizes = {child.pid: _rss(child) for child in children}
                parent = self._process.memory_info().rss
            except psutil.Error:
                continue
            sizes = {pid: size for pid, size in sizes.items() if size}
            self.samples.append(Sample(parent, sizes))
            # Never the oldest, of which it is to be seen what becomes after many files.
            if self._done and len(children) > 1 and children[-1] not in self._hit:
                self._end(children[-1])

    def _end(self, child: psutil.Process) -> None:
        with suppress(psutil.Error):
            if time.time() - child.create_time() > KILL_SECONDS:
                self._hit.add(child)
                child.send_signal(SIGSTOP if self.kills == HANG else SIGKILL)

    @property
    def kills(self) -> int:
        """How many children were killed, or stopped."""
        return len(self._hit)

    def left_behind(self) -> list[str]:
        """Return the children that are still there, each in words."""
        _, alive = psutil.wait_procs(self._seen, timeout=5)
        return [f"child {child.pid} was left behind" for child in alive]


_NOTHING: dict[str, object] = {
    "stored": 0,
    "failed": 0,
    "seconds": 0.0,
    "slowest": [(0.0, "")],
    "memory": [],
    "reasons": {},
}


def _rss(process: psutil.Process) -> int:
    try:
        return int(process.memory_info().rss)
    except psutil.Error:
        return 0


def _unaccounted(database: str, files: list[Path], result: Result) -> list[str]:
    """Compare the database with the files: each is stored or a failure, and sound ones stored."""
    with lookalike.connect(database) as db:
        stored = {row[0] for row in db.rows(f"SELECT path FROM {COLLECTION}_files")[1]}
        rows = db.rows(f"SELECT path, reason FROM {COLLECTION}_failures")[1]
    failed = dict(rows)
    problems = []
    names = {str(file) for file in files}
    if lost := sorted(names - stored - failed.keys()):
        problems.append(f"{len(lost)} files are neither stored nor failures: {lost[:3]}")
    if twice := sorted(stored & failed.keys()):
        problems.append(f"{len(twice)} files are both stored and failures: {twice[:3]}")
    if (len(stored & names), len(failed)) != (result.stored, result.failed):
        problems.append(
            f"told {result.stored} + {result.failed}, found {len(stored & names)} + {len(failed)}"
        )
    sound = {file for file in names if f"-{SOUND}-" in file}
    hit = {*result.killed, *result.timeouts}
    killed = {str(file) for file in files if file.name in hit}
    if refused := sorted((sound - killed) & failed.keys()):
        problems.append(f"sound images were refused: {[(f, failed[f]) for f in refused[:3]]}")
    odd = [reason for reason in failed.values() if "\n" in reason or not reason.strip()]
    odd += [reason for path, reason in rows if Path(path).name in reason]
    problems += [f"an odd reason: {reason!r}" for reason in odd[:3]]
    return problems


def early_and_late(result: Result) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return memory in the second eighth of the files, and in the last."""
    eighth = len(result.memory) // 8
    return result.memory_after(slice(eighth, 2 * eighth)), result.memory_after(slice(-eighth, None))


def kind_of(reason: str) -> str:
    """Return a reason without what differs from file to file."""
    return re.sub(r"0x[0-9a-f]+|\d[\d,.]*", "#", reason)[:70]


def summary(result: Result) -> str:
    """Return a table of a run."""
    peak_parent = max((each.parent for each in result.samples), default=0) / MEGABYTE
    sizes = [size for each in result.samples for size in each.children.values()]
    sums = [each.parent + sum(each.children.values()) for each in result.samples]
    early, late = early_and_late(result)
    of = f"{len(result.memory):,}"
    n_children = len({pid for each in result.samples for pid in each.children})
    rows = [
        ("seed", result.seed),
        ("files", f"{result.n_files:,}"),
        ("stored", f"{result.stored:,}"),
        ("failed", f"{result.failed:,}"),
        ("decoders that a file has crashed", len(result.crashes)),
        ("decoders that the fuzz has killed or stopped", result.kills),
        ("files that they were at", len(result.killed)),
        ("timeouts", len(result.timeouts)),
        ("child processes seen", n_children),
        ("seconds", f"{result.seconds:.0f}"),
        ("slowest file, seconds", f"{result.slowest[-1][0]:.1f}"),
        ("peak RSS of the parent, MiB", f"{peak_parent:.0f}"),
        ("peak RSS of a child, MiB", f"{max(sizes, default=0) / MEGABYTE:.0f}"),
        ("peak RSS of all together, MiB", f"{max(sums, default=0) / MEGABYTE:.0f}"),
        (f"RSS early in {of} files, parent and child, MiB", f"{early[0]:.0f}, {early[1]:.0f}"),
        (f"RSS late in {of} files, parent and child, MiB", f"{late[0]:.0f}, {late[1]:.0f}"),
    ]
    lines = [f"{name:46}{value:>12}" for name, value in rows]
    kinds = Counter(kind_of(reason) for reason in result.reasons.values())
    lines += ["", f"{'reasons':70}{'files':>8}"]
    lines += [f"{kind:70}{count:>8,}" for kind, count in kinds.most_common(25)]
    names = (*result.crashes, *result.timeouts)
    lines += [f"{name}: {result.reasons[name]}" for name in names]
    return "\n".join(lines)
