"""The native functions' C under sanitizers, without a server: hostile calls of every function."""

import shutil
import subprocess

import pytest

from lookalike.dialects.native import NATIVE_FUNCTIONS
from tests.places import REPO

SOURCE = REPO / "src" / "lookalike" / "dialects" / "sql" / "native.c"
HARNESS = REPO / "tests" / "dialects" / "native_harness.c"
SEED, CALLS = 1, 10_000


@pytest.fixture(scope="module")
def gcc():
    program = shutil.which("gcc")
    assert program, "these tests need gcc (on Debian: apt install gcc libc6-dev)"
    return program


@pytest.fixture(scope="module")
def harness(gcc, tmp_path_factory):
    program = tmp_path_factory.mktemp("harness") / "harness"
    flags = ["-std=gnu11", "-O1", "-g", "-fopenmp-simd", "-DLOOKALIKE_PLAIN"]
    flags += ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-static-libasan"]
    flags += [f'-DNATIVE_C="{SOURCE}"', "-Wno-odr"]
    subprocess.run([gcc, *flags, str(HARNESS), "-o", str(program), "-lm"], check=True)
    return program


def test_hostile_calls_touch_nothing_that_is_not_theirs(harness):
    done = subprocess.run(
        [harness, str(SEED), str(CALLS)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    counts = {
        line.split()[0]: [int(n) for n in line.split()[1:]] for line in done.stdout.splitlines()
    }
    assert {f"lookalike_native_{name}" for name in counts} == {f.name for f in NATIVE_FUNCTIONS}
    for answered, refused, null in counts.values():
        assert min(answered, refused, null) > 100


def test_no_warnings(gcc):
    flags = ["-std=gnu11", "-O2", "-fopenmp-simd", "-Wall", "-Wextra", "-Wconversion", "-Werror"]
    done = subprocess.run(
        [gcc, *flags, "-fsyntax-only", str(SOURCE)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
