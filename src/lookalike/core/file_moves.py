"""Move files without replacing any, also to another disk."""

import os
import shutil
from pathlib import Path


def rename(path: Path, target: Path) -> None:
    """Give a file a free name, be it on another disk.

    Raises FileExistsError where the name is taken, also by a link, whatever it leads to. Python's
    own ways replace a file that takes the name meanwhile, or write through a link.
    """
    try:
        os.link(path, target, follow_symlinks=False)
    except FileExistsError:
        raise
    except (OSError, NotImplementedError):  # another disk, or one that knows no second names
        _copy(path, target)
    try:
        path.unlink()
    except BaseException:
        target.unlink()  # there would be one image more, and none moved
        raise


def _copy(path: Path, target: Path) -> None:
    with path.open("rb") as file, target.open("xb") as copy:
        try:
            shutil.copyfileobj(file, copy)
            copy.flush()
            os.fsync(copy.fileno())
            if os.path.samestat(os.fstat(copy.fileno()), target.lstat()):
                shutil.copystat(path, target)
        except BaseException:
            target.unlink()
            raise
