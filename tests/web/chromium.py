"""A Chromium for the tests: the system's, or else Debian's in a folder of the tests' own."""

import shutil
from pathlib import Path

from tests.e2e.runtimes import of_debian

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-sync",
)
PACKAGES = ("chromium", "fonts-dejavu-core")
NAMES = ("chromium", "chromium-browser", "google-chrome")

# The unpacked one runs by its own loader, which stands beside it: Chromium looks for its files in
# the folder of the program that the system started, and starts further processes by this script.
SCRIPT = """\
#!/bin/sh
export FONTCONFIG_PATH="{tree}/etc/fonts" FONTCONFIG_SYSROOT="{tree}"
exec "{program}/loader" --library-path "{libraries}" "{program}/chromium" \\
    --no-zygote --browser-subprocess-path="{script}" "$@"
"""


def chromium(folder: Path) -> Path:
    """The program; folder: where Debian's is unpacked, once, if the system has none."""
    for name in NAMES:
        if found := shutil.which(name):
            return Path(found)
    return unpacked(folder)


def unpacked(folder: Path) -> Path:
    """A script that runs Debian's Chromium from a folder, into which it is unpacked once."""
    tree = of_debian(folder, PACKAGES)
    program, script = tree / "usr" / "lib" / "chromium", tree / "chromium"
    if not script.exists():
        loader, *_ = tree.glob("lib/*-linux-gnu/ld-linux*.so.*")
        shutil.copy(loader.resolve(), program / "loader")
        folders = (*tree.glob("lib/*-linux-gnu"), *tree.glob("usr/lib/*-linux-gnu"), program)
        script.write_text(
            SCRIPT.format(
                tree=tree,
                program=program,
                libraries=":".join(map(str, folders)),
                script=script,
            )
        )
        script.chmod(0o755)
    return script
