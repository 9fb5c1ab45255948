"""Build a library of loadable functions, and put it into a server's plugin folder."""

import hashlib
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from lookalike.core.errors import ServerError

FLAGS = (
    *("-std=gnu11", "-O3", "-fopenmp-simd", "-fno-math-errno"),
    *("-fPIC", "-shared", "-fvisibility=hidden", "-s", "-Wl,--build-id=none"),
)
LIMIT = 300  # seconds


@dataclass(frozen=True)
class Library:
    """A built library. Its name holds a hash of its content: another content is another file."""

    content: bytes

    @property
    def name(self) -> str:
        return f"lookalike_native_{hashlib.sha256(self.content).hexdigest()[:12]}.so"

    def put(self, folder: Path) -> bool:
        """Write the file; return False if it is there. A loaded file is never changed in place.

        Raises:
            OSError: The folder is missing or cannot be written to.
        """
        path = folder / self.name
        if path.is_file() and path.read_bytes() == self.content:
            return False
        handle, name = tempfile.mkstemp(dir=folder, prefix=".lookalike_native_")
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(self.content)
                os.fchmod(file.fileno(), 0o644)  # the server's user reads it
            Path(name).replace(path)
        except BaseException:
            Path(name).unlink()
            raise
        return True


@cache
def build(source: str) -> Library:
    """Compile C source on this machine.

    Raises:
        ServerError: There is no C compiler, or it failed.
    """
    gcc = shutil.which("gcc")
    if gcc is None:
        raise ServerError(
            "there is no gcc, which builds the native functions: install it "
            "(on Debian and Ubuntu: apt install gcc libc6-dev)"
        )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "native.so")
        try:
            done = subprocess.run(
                [gcc, *FLAGS, "-x", "c", "-", "-o", str(path), "-lm"],
                input=source,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=LIMIT,
                cwd=folder,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise ServerError(f"{gcc} does not run: {error}") from error
        if done.returncode:
            lines = [line for line in done.stderr.splitlines() if "error" in line] or ["no output"]
            raise ServerError(
                f"gcc cannot build the native functions: {lines[0].strip()}; it needs the C "
                "library's headers (on Debian and Ubuntu: apt install gcc libc6-dev)"
            )
        return Library(path.read_bytes())
