"""Images decoded in child processes: what they return."""

import json
import os
import time
from contextlib import closing
from pathlib import Path

import numpy as np
import psutil
import pytest
from PIL import Image

from lookalike.core.errors import ImageError, InputError, LookalikeError
from lookalike.images.decode import MAX_PIXELS, open_image
from lookalike.images.facts import read_facts
from lookalike.pipeline import decoder_process as child
from lookalike.pipeline.decoder import Decoder, OutOfReach
from tests.fuzz.originals import chunk
from tests.pipeline.decoders import CROP, HANG, ORIGINALS, WHOLE, child_of, has_ended, wait_until


@pytest.mark.parametrize("preprocessing", [None, CROP, WHOLE], ids=["all", "crop", "whole"])
def test_pixels_are_those_of_this_process(tmp_path, start, preprocessing):
    decoder = start(preprocessing)
    for name, content in ORIGINALS.items():
        file = tmp_path / name
        file.write_bytes(content)
        if preprocessing is None:
            expected = np.asarray(open_image(file))
        else:
            expected = preprocessing(open_image(file, short_side=preprocessing.short_side))
        decoded = decoder.decode(file)
        assert np.array_equal(decoded.pixels, expected), name
        about = file.stat()
        assert (decoded.size, decoded.mtime_ns) == (about.st_size, about.st_mtime_ns)


def test_a_large_jpeg_is_decoded_to_a_part_of_its_size(tmp_path, start):
    Image.effect_noise((1600, 1200), 50).save(tmp_path / "a.jpg")
    small = open_image(tmp_path / "a.jpg", short_side=CROP.short_side)
    assert small.size == (200, 150)
    assert np.array_equal(start(CROP).decode(tmp_path / "a.jpg").pixels, CROP(small))


def test_bytes_are_decoded_as_their_file_is(start, folder):
    decoder, file = start(), folder / "sound.png"
    content = file.read_bytes()
    decoded = decoder.decode(content)
    assert np.array_equal(decoded.pixels, decoder.decode(file).pixels)
    assert (decoded.size, decoded.mtime_ns) == (len(content), 0)
    for damaged in (b"", bytes(10_000_000)):  # the latter is more than a pipe holds
        with pytest.raises(ImageError, match="the file is empty|not an image that can be read"):
            decoder.decode(damaged)
    assert decoder.decode(content).size == len(content)


def test_facts_are_those_of_this_process(tmp_path, start):
    decoder = start(CROP)
    for name, content in ORIGINALS.items():
        file = tmp_path / name
        file.write_bytes(content)
        with file.open("rb") as opened:
            expected = read_facts(opened, name=name)
        told = decoder.facts(file)
        about = file.stat()
        assert told == (expected, about.st_size, about.st_mtime_ns), name
        assert decoder.decode(file).pixels.shape == (16, 16, 3)
    (tmp_path / "text.jpg").write_text("no image")
    with pytest.raises(ImageError, match="not an image that can be read"):
        decoder.facts(tmp_path / "text.jpg")
    with pytest.raises(OutOfReach, match="No such file"):
        decoder.facts(tmp_path / "gone.jpg")


def test_facts_that_a_hostile_file_made_up_are_left_out(folder, start, monkeypatch):
    made_up = {"width": 4, "height": True, "camera": "a\nb", "price": 3, "file_size": 1e99}
    decoder = start()
    decoder.decode(folder / "sound.png")
    told = child.Answer(child.TOLD, 1, 2, content=json.dumps(made_up).encode())
    monkeypatch.setattr(decoder, "_receive", lambda *args: told)
    assert decoder.facts(folder / "sound.png").facts == {"width": 4}


@pytest.mark.parametrize("signal_name", ["SIGKILL", "SIGSEGV"])
def test_a_decoder_that_is_hit_by_a_file_is_replaced(folder, hostile, signal_name):
    decoder = hostile(f"os.kill(os.getpid(), signal.{signal_name})")
    decoder.decode(folder / "sound.png")
    before = child_of(decoder)
    with pytest.raises(ImageError, match=rf"^its decoder crashed \({signal_name}: "):
        decoder.decode(folder / "hostile.png")
    assert decoder.decode(folder / "sound.png").pixels.shape == (16, 16, 3)
    assert has_ended(before) and child_of(decoder) != before


def test_a_decoder_that_exits_is_replaced(folder, hostile):
    decoder = hostile("os._exit(3)")
    with pytest.raises(ImageError, match=r"^its decoder crashed \(status 3\)$"):
        decoder.decode(folder / "hostile.png")
    decoder.decode(folder / "sound.png")


def test_a_decoder_that_is_killed_between_files_costs_no_file(folder, start):
    decoder = start()
    for _ in range(2):
        decoder.decode(folder / "sound.png")
        before = child_of(decoder)
        before.kill()
        wait_until(lambda before=before: has_ended(before))
    assert decoder.decode(folder / "sound.png").pixels.shape == (30, 40, 3)


def test_a_decoder_that_hangs_is_ended_at_the_time_limit(folder, hostile):
    decoder = hostile(HANG, time_limit=1.5)
    decoder.decode(folder / "sound.png")
    before = child_of(decoder)
    with pytest.raises(ImageError, match=r"^not decoded within 1\.5 seconds$"):
        decoder.decode(folder / "hostile.png")
    assert has_ended(before)
    decoder.decode(folder / "sound.png")


def test_the_time_limit_is_not_for_the_start_of_a_decoder(folder):
    with closing(Decoder(lambda: time.sleep(1.6), time_limit=1.5)) as decoder:
        assert decoder.decode(folder / "sound.png").pixels.shape == (30, 40, 3)


def test_a_decoder_whose_own_clock_runs_out_first_was_too_slow(folder, hostile):
    decoder = hostile("os.kill(os.getpid(), signal.SIGALRM)")
    with pytest.raises(ImageError, match=r"^not decoded within 60 seconds$"):
        decoder.decode(folder / "hostile.png")


@pytest.mark.parametrize("limit", [0, -1, float("nan")])
def test_a_time_limit_that_is_none_is_refused(limit):
    with pytest.raises(InputError, match=f"a time limit of {limit:g} seconds is not above zero"):
        Decoder(lambda: None, time_limit=limit)


def test_a_time_limit_may_be_infinite(folder, start):
    start(time_limit=float("inf")).decode(folder / "sound.png")


def test_another_thread_can_end_it_for_good(folder, hostile):
    decoder = hostile(HANG)
    decoder.decode(folder / "sound.png")
    decoder.kill()
    wait_until(lambda: has_ended(child_of(decoder)))
    with pytest.raises(LookalikeError, match="SIGKILL"):
        decoder.decode(folder / "sound.png")


def test_what_a_library_prints_is_no_answer(folder, hostile):
    act = "os.write(1, b'warning: '); print('what an odd file', flush=True)"
    assert hostile(act).decode(folder / "hostile.png").pixels.shape == (16, 16, 3)


@pytest.mark.parametrize(
    "answer", ["9,0,0,0,0,0", "0,0,0,9,9,1", "1,0,0,0,0,2**32-1", "3,0,0,0,0,0"]
)
def test_an_answer_that_makes_no_sense_is_a_crash(folder, hostile, answer):
    # As code does that an image has taken over.
    act = f"""
from lookalike.pipeline import decoder_process
for file in range(3, 9):
    try:
        os.write(file, decoder_process.HEADER.pack({answer}))
    except OSError:
        pass
time.sleep(99)"""
    decoder = hostile(act)
    with pytest.raises(ImageError, match="its decoder crashed"):
        decoder.decode(folder / "hostile.png")


def test_an_error_of_the_preprocessing_is_a_failure(folder, hostile):
    decoder = hostile("raise ValueError('too odd')")
    with pytest.raises(ImageError, match="^not preprocessed: too odd$"):
        decoder.decode(folder / "hostile.png")


def test_memory_is_bounded(folder, hostile):
    decoder = hostile("numpy.ones(2**34, numpy.uint8)")
    with pytest.raises(ImageError, match=r"^not preprocessed: Unable to allocate 16\.0 GiB"):
        decoder.decode(folder / "hostile.png")


@pytest.mark.nightly
def test_a_huge_image_is_decoded_within_memory(folder, start):
    file = folder / "huge.png"
    Image.new("RGB", (14_000, 14_000), (9, 8, 7)).save(file, compress_level=1)
    assert 0.9 * MAX_PIXELS < 14_000**2 < MAX_PIXELS
    decoder = start(CROP)
    decoder.decode(folder / "sound.png")
    child_of(decoder).rlimit(psutil.RLIMIT_DATA, (1_000_000_000, -1))  # it is there once: 784 MB
    assert (decoder.decode(file).pixels == (9, 8, 7)).all()
    child_of(decoder).rlimit(psutil.RLIMIT_DATA, (400_000_000, -1))
    with pytest.raises(ImageError, match="^not enough memory to decode it$"):
        decoder.decode(file)


def test_a_file_that_is_gone_is_out_of_reach(tmp_path, sound):
    with pytest.raises(OutOfReach, match="^No such file or directory$"):
        sound.decode(tmp_path / "gone.png")


def test_a_file_without_permission_is_out_of_reach(folder, hostile):
    decoder = hostile("os.geteuid() or os.seteuid(65534)")  # to nobody permissions apply
    decoder.decode(folder / "hostile.png")
    (folder / "sound.png").chmod(0)
    with pytest.raises(OutOfReach, match="^Permission denied$"):
        decoder.decode(folder / "sound.png")


def test_a_file_that_cannot_be_read_to_its_end_is_out_of_reach(sound):
    with pytest.raises(OutOfReach, match="^Input/output error$"):
        sound.decode(Path("/proc/self/mem"))  # nothing is at its first byte


def test_what_is_no_file_is_out_of_reach(tmp_path, sound):
    os.mkfifo(tmp_path / "pipe.jpg")  # nobody writes to it
    (tmp_path / "folder.jpg").mkdir()
    (tmp_path / "device.jpg").symlink_to("/dev/zero")
    for name in ("pipe.jpg", "folder.jpg", "device.jpg"):
        with pytest.raises(OutOfReach, match="^not a regular file$|^Is a directory$"):
            sound.decode(tmp_path / name)


def truncated() -> bytes:
    return ORIGINALS["baseline.jpg"][:2000]


def bomb() -> bytes:
    """A PNG of 65536 x 65536 pixels."""
    header = chunk(b"IHDR", b"\0\1\0\0\0\1\0\0\x08\x02\0\0\0")
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", bytes(9)) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"a shopping list", "^not an image that can be read$"),
        (b"", "^the file is empty$"),
        (truncated(), "^image file is truncated"),
        (bomb(), "^the image is too large; the limit is 200,000,000 pixels"),
    ],
)
def test_a_bad_image_is_told_by_its_reason_alone(tmp_path, sound, content, reason):
    file = tmp_path / "a.jpg"
    file.write_bytes(content)
    with pytest.raises(ImageError, match=reason) as caught:
        sound.decode(file)
    assert not isinstance(caught.value, OutOfReach) and "a.jpg" not in str(caught.value)


@pytest.mark.parametrize(
    "name",
    ["a\nb.png", "-rf.png", "Ελλάδα 🏛.png", b"caf\xe9.png", "n" * 251 + ".png", "the file: .png"],
)
def test_odd_names_are_names(folder, sound, name):
    file = folder / os.fsdecode(name)
    (folder / "sound.png").rename(file)
    assert sound.decode(file).pixels.shape == (30, 40, 3)
    file.write_bytes(b"")
    with pytest.raises(ImageError, match="^the file is empty$"):
        sound.decode(file)
