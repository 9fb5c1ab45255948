"""What happens when processes that decode end, or their parent."""

import gc
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing

import psutil
import pytest

from lookalike.core.errors import ImageError, LookalikeError
from lookalike.models.preprocessing import Preprocessing
from lookalike.pipeline.decoder import Decoder
from tests.pipeline.decoders import CROP, HANG, LIMIT, SEGFAULT, child_of, has_ended, wait_until

PARENT = """
import sys
import time
from pathlib import Path
from lookalike.pipeline.decoder import Decoder
from hostile import Hostile

decoder = Decoder(lambda: Hostile(20, 16, act=sys.argv[2]), time_limit=1.5)
print(decoder.decode(Path(sys.argv[1])).pixels.shape, flush=True)
if not sys.argv[2]:
    time.sleep(60)
decoder.decode(Path(sys.argv[1]).with_name("hostile.png"))
"""


def test_ctrl_c_is_left_to_the_parent(folder, start):
    decoder = start()
    decoder.decode(folder / "sound.png")
    child = child_of(decoder)
    child.send_signal(signal.SIGINT)
    decoder.decode(folder / "sound.png")
    assert child_of(decoder) == child


@pytest.fixture
def parent(folder, hostile, monkeypatch) -> Iterator[Callable[..., subprocess.Popen]]:
    """Start processes that decode sound.png and then hostile.png or, with no act, wait."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    parents = []

    def run(act: str) -> subprocess.Popen:
        command = [sys.executable, "-c", PARENT, folder / "sound.png", act]
        parents.append(subprocess.Popen(command, stdout=subprocess.PIPE, text=True))
        return parents[-1]

    yield run
    for process in parents:
        process.kill()
        process.communicate()


def test_a_decoder_ends_when_its_parent_dies(parent):
    process = parent("")
    assert process.stdout.readline() == "(16, 16, 3)\n"
    (child,) = psutil.Process(process.pid).children()
    process.kill()
    wait_until(lambda: has_ended(child))


@pytest.mark.slow
def test_a_decoder_that_hangs_ends_when_its_parent_is_dead(folder, parent):
    marker = folder / "decoding"
    process = parent(f"Path({str(marker)!r}).touch(); {HANG}")
    wait_until(marker.exists)
    (child,) = psutil.Process(process.pid).children()
    process.kill()
    wait_until(lambda: has_ended(child))


def test_nothing_is_imported_from_the_current_folder(folder, start, monkeypatch):
    here = folder / "here"
    here.mkdir()
    for name in ("struct", "numpy", "olefile", "lookalike", "sitecustomize"):
        (here / f"{name}.py").write_text(f"open({str(here / 'imported')!r}, 'w')")
    monkeypatch.chdir(here)
    monkeypatch.setattr(sys, "path", ["", str(here), ".", *sys.path])
    decoder = start(CROP)
    assert decoder.decode(folder / "sound.png").pixels.shape == (16, 16, 3)
    (folder / "list.jpg").write_text("a shopping list")
    with pytest.raises(ImageError, match="not an image"):
        decoder.decode(folder / "list.jpg")
    assert not (here / "imported").exists()


def test_a_current_folder_that_is_gone_is_no_hindrance(folder, start, monkeypatch):
    (folder / "here").mkdir()
    monkeypatch.chdir(folder / "here")
    (folder / "here").rmdir()
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    assert start().decode(folder / "sound.png").pixels.shape == (30, 40, 3)


def test_a_preprocessing_that_cannot_be_sent_is_told(folder, hostile, monkeypatch):
    decoder = hostile("pass")
    monkeypatch.setattr(sys, "path", sys.path[1:])
    with pytest.raises(LookalikeError, match="cannot be loaded: No module named 'hostile'"):
        decoder.decode(folder / "sound.png")


def test_a_decoder_that_cannot_be_started_is_told(folder, start, monkeypatch):
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    with pytest.raises(
        LookalikeError,
        match="cannot start a process for decoding images: No such file or directory",
    ):
        start().decode(folder / "sound.png")
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(LookalikeError, match="decoding images: status 1"):
        start().decode(folder / "sound.png")


def test_a_decoder_that_is_killed_at_its_start_is_replaced(folder):
    killed = []

    def kill(times: int) -> None:
        if len(killed) < times:
            killed.append(child_of(decoder))
            killed[-1].kill()

    with closing(Decoder(lambda: kill(2), time_limit=LIMIT)) as decoder:
        assert decoder.decode(folder / "sound.png").pixels.shape == (30, 40, 3)
    assert len(killed) == 2 and all(map(has_ended, killed))
    with (
        closing(Decoder(lambda: kill(99), time_limit=LIMIT)) as decoder,
        pytest.raises(LookalikeError, match="decoding images: SIGKILL"),
    ):
        decoder.decode(folder / "sound.png")


def test_an_error_of_the_model_is_raised_as_it_is(folder):
    def fail() -> Preprocessing:
        raise LookalikeError("no weights")

    with closing(Decoder(fail, time_limit=1)) as decoder, pytest.raises(LookalikeError) as caught:
        decoder.decode(folder / "sound.png")
    assert str(caught.value) == "no weights"


def test_closing_twice_is_closing_once(folder, start):
    decoder = start()
    decoder.close()
    decoder.decode(folder / "sound.png")
    child = child_of(decoder)
    decoder.close()
    decoder.close()
    assert has_ended(child)
    decoder.decode(folder / "sound.png")


def test_restarts_leave_nothing_behind(folder, hostile):
    me = psutil.Process()
    gc.collect()  # files that other tests have left are not closed meanwhile
    files, children = me.num_fds(), set(me.children())
    decoder = hostile(SEGFAULT)
    for _ in range(4):
        with pytest.raises(ImageError):
            decoder.decode(folder / "hostile.png")
    assert me.num_fds() == files
    assert set(me.children()) <= children
