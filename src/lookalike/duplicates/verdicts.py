"""What comparisons of pictures found, kept in the user's cache folder, so that none is repeated.

A verdict belongs to the bytes of two files in their order, and to the program that found it: the
cache is emptied when that changes. It only saves time, so it is a file: nobody has to upgrade it,
and a reader needs no right to write to the database.
"""

import hashlib
from functools import cache
from importlib import metadata
from pathlib import Path

import numpy as np
import numpy.typing as npt
import PIL

from lookalike.core.types import Orientations
from lookalike.models.cache import keep, kept

UNKNOWN = -1

MOST_KEPT = 1_000_000
"""Verdicts, the last used first: 17 MB."""

_FILE = "duplicates-verdicts"
_KEY = 16
_RECORD = np.dtype([("key", f"V{_KEY}"), ("how", np.int8)])

Numbers = npt.NDArray[np.int64]


class Verdicts:
    """Verdicts on pairs of pictures by number; contents: the SHA-256 of each picture's bytes."""

    def __init__(self, contents: list[bytes], orientations: Orientations) -> None:
        self._contents = contents
        self._salt = orientations.encode()
        self._old = _load()
        self._used: dict[bytes, int] = {}
        self._has_new = False

    def known(self, first: Numbers, second: Numbers) -> npt.NDArray[np.int8]:
        """Return the verdict on each pair, UNKNOWN where there is none."""
        how = np.full(len(first), UNKNOWN, np.int8)
        for place, key in enumerate(self._keys(first, second)):
            found = self._old.get(key)
            if found is not None:
                how[place] = self._used[key] = found
        return how

    def learn(self, first: Numbers, second: Numbers, how: npt.NDArray[np.int8]) -> None:
        """Remember the verdicts on pairs."""
        keys = self._keys(first, second)
        self._used.update(zip(keys, how.tolist(), strict=True))
        self._has_new = self._has_new or bool(keys)

    def keep(self, most: int = MOST_KEPT) -> None:
        """Write what is new. Of processes that write at once the last one's verdicts stay."""
        if not self._has_new:
            return
        latest = _load()  # of what others have found meanwhile
        others = [(key, how) for key, how in latest.items() if key not in self._used]
        found = [*self._used.items(), *others][:most]
        records = b"".join(key + bytes([how]) for key, how in found)
        keep(_FILE, _program() + records)

    def _keys(self, first: Numbers, second: Numbers) -> list[bytes]:
        return [
            hashlib.blake2b(
                self._contents[one] + self._contents[other], digest_size=_KEY, salt=self._salt
            ).digest()
            for one, other in zip(first.tolist(), second.tolist(), strict=True)
        ]


def _load() -> dict[bytes, int]:
    content, program = kept(_FILE) or b"", _program()
    if not content.startswith(program) or (len(content) - len(program)) % _RECORD.itemsize:
        return {}
    records = np.frombuffer(content, _RECORD, offset=len(program))
    return dict(zip(map(bytes, records["key"].tolist()), records["how"].tolist(), strict=True))


@cache
def _program() -> bytes:
    """Return a digest of what verdicts depend on, so that no version has to be raised by hand."""
    try:
        own = metadata.version("lookalike")
    except metadata.PackageNotFoundError:  # a source tree on the path
        own = ""
    digest = hashlib.sha256(f"{own} {np.__version__} {PIL.__version__}".encode())
    here = Path(__file__).parent
    for file in sorted([*here.glob("*.py"), *(here.parent / "images").glob("*.py")]):
        digest.update(file.read_bytes())
    return digest.digest()
