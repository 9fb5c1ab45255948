"""Decoders, and what harms them."""

import time
from collections.abc import Callable

import psutil
from PIL import Image

from lookalike.models.preprocessing import Preprocessing
from lookalike.pipeline.decoder import Decoder
from tests.fuzz.originals import originals

CROP = Preprocessing(short_side=20, crop=16)
WHOLE = Preprocessing(short_side=20, crop=16, whole=True, resample=Image.Resampling.BILINEAR)
ORIGINALS = originals()
LIMIT = 60.0  # seconds that anything may take
SIZES = {"sound": (40, 30), "hostile": (7, 7)}

# Does something else for images 7 pixels wide, as a decoder does that is hit by a bad file.
HOSTILE = """
import os, re, signal, sys, time
from dataclasses import dataclass
from pathlib import Path
import numpy
from lookalike.models.preprocessing import Preprocessing

@dataclass(frozen=True)
class Hostile(Preprocessing):
    act: str = ""

    def __call__(self, image):
        if image.width == 7:
            exec(self.act)
        return super().__call__(image)
"""
HANG = "re.match(r'(a+)+$', 64 * 'a' + 'b')"  # in C, deaf to Python's signal handlers
SEGFAULT = "os.kill(os.getpid(), signal.SIGSEGV)"


def child_of(decoder: Decoder) -> psutil.Process:
    return psutil.Process(decoder._process.pid)


def wait_until(holds: Callable[[], object]) -> None:
    deadline = time.monotonic() + LIMIT
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def has_ended(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True
