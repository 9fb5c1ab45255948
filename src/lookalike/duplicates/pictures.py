"""The stored images as duplicates see them: images of the same bytes are one picture."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from lookalike.core.errors import InputError
from lookalike.core.types import KeepRule
from lookalike.core.vectors import ids_array
from lookalike.database.table import VectorTable
from lookalike.index.rows import files_below

Numbers = npt.NDArray[np.int64]

_BATCH = 10_000
_UNKNOWN = -1


@dataclass(frozen=True, eq=False)
class Images:
    """All images of a collection, arrays of shape (n,) by id, and the pictures in them.

    picture: a number for each image, from 0; images of the same bytes (without a file, of the same
    embedding) have the same. sizes in bytes, areas in pixels; times of change in nanoseconds since
    1970; each -1 where it is not known. contents: of each picture the SHA-256 of its bytes, or
    what stands for it. first: of each picture the position of an image.
    """

    ids: Numbers
    picture: Numbers
    sizes: Numbers
    times: Numbers
    widths: Numbers
    heights: Numbers
    contents: list[bytes]
    first: Numbers

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def has_file(self) -> npt.NDArray[np.bool_]:
        """Which images have a file."""
        return np.asarray(self.sizes != _UNKNOWN)

    def pictures_of(self, ids: Numbers) -> Numbers:
        """Return the picture of each of these ids, -1 for ids that are none of the images."""
        places = np.minimum(np.searchsorted(self.ids, ids), len(self) - 1)
        return np.where(self.ids[places] == ids, self.picture[places], _UNKNOWN)

    def ranks(self, rule: KeepRule, preference: Numbers | None = None) -> Numbers:
        """Return the rank of each image as the one to keep: 0 is kept first. Ties go by id.

        best: the largest area, then the largest file, then the oldest; largest: file, area, age.
        Images without a file come last. preference: of each image, smaller ones are kept whatever
        the rule.
        """
        areas, sizes, times = self.widths * self.heights, self.sizes, self.times
        order = {
            "best": (-areas, -sizes, times),
            "largest": (-sizes, -areas, times),
            "oldest": (times, -areas, -sizes),
        }[rule]
        # The last key counts most.
        first = [] if preference is None else [preference]
        sorted_ = np.lexsort((self.ids, *reversed(order), ~self.has_file, *first))
        ranks = np.empty(len(self), np.int64)
        ranks[sorted_] = np.arange(len(self))
        return ranks


def preference_of(table: VectorTable, images: Images, folders: Sequence[Path]) -> Numbers:
    """Return the place in folders of the first one that each image is in; len(folders) for none.

    Raises InputError for a folder without a stored image.
    """
    preference = np.full(len(images), len(folders), np.int64)
    for place, folder in reversed(list(enumerate(folders))):
        below = [row[0] for row in files_below(table, folder)] if table.has_files else []
        chosen = np.isin(images.ids, np.array(below, np.int64))
        if not chosen.any():
            raise InputError(
                f"cannot prefer {folder}: no image in it is stored; add it, or give another folder"
            )
        preference[chosen] = place
    return preference


def read_images(table: VectorTable) -> Images:
    """Read what is known of every image."""
    dialect, numbers = table.dialect, dict[bytes, int]()
    statement = (dialect.embedded_images if table.has_files else dialect.bare_embeddings)(table)
    parts = [np.empty((0, 6), np.int64)]
    for rows in table.connection.stream(statement, batch=_BATCH):
        part = np.full((len(rows), 6), _UNKNOWN, np.int64)
        part[:, 0] = ids_array(row[0] for row in rows)
        for line, (_, content, *facts) in zip(part, rows, strict=True):
            known = (_UNKNOWN if fact is None else fact for fact in facts)
            line[1:] = (numbers.setdefault(content, len(numbers)), *known)
        parts.append(part)
    images = np.concatenate(parts)
    first = np.unique(images[:, 1], return_index=True)[1]
    ids, picture, *facts = (np.ascontiguousarray(column) for column in images.T)
    sizes, times, widths, heights = facts
    return Images(ids, picture, sizes, times, widths, heights, list(numbers), first)
