"""A table of embeddings on a server."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from lookalike.core.types import Metric
from lookalike.core.vectors import FloatArray, ids_array, unpack
from lookalike.database.connection import Connection, Row
from lookalike.dialects import Dialect, Table

Ids = npt.NDArray[np.int64]


@dataclass(frozen=True, repr=False)
class VectorTable(Table):
    """A table of embeddings on a server: everything that reads or changes one takes this.

    Attributes:
        connection: The way to the server.
        dialect: The SQL that the server speaks.
        dim: The length of the embeddings.
        metric: What searches rank by.
        has_files: Whether `add` has made its side tables: files, failures, runs.
    """

    connection: Connection = field(kw_only=True)
    dialect: Dialect = field(kw_only=True)
    dim: int = field(kw_only=True)
    metric: Metric = field(default="cosine", kw_only=True)
    has_files: bool = field(default=True, kw_only=True)

    def __repr__(self) -> str:
        return f"<VectorTable {self.name} in {self.connection.url}>"

    def on(self, connection: Connection) -> "VectorTable":
        """Return the same table, used through another connection."""
        return replace(self, connection=connection)

    def id_range(self) -> int:
        """Return an upper bound of the number of rows, from their smallest and largest id."""
        low, high = self.connection.query(self.dialect.id_range(self))[0]
        return 0 if high is None else high - low + 1

    def usable_embeddings(self, ids: Sequence[int]) -> tuple[Ids, FloatArray]:
        """Return those of the ids whose embedding has a direction, and the embeddings (n, dim)."""
        found, embeddings = self.indexable_embeddings(ids)
        nonzero = embeddings.any(axis=1)
        return found[nonzero], embeddings[nonzero]

    def indexable_embeddings(self, ids: Sequence[int]) -> tuple[Ids, FloatArray]:
        """Return those of the ids whose embedding can have a code, and the embeddings (n, dim)."""
        if not ids:
            return np.empty(0, np.int64), np.empty((0, self.dim), np.float32)
        return self.indexable(self.connection.query(self.dialect.embeddings(self, ids)))

    def indexable(self, rows: Sequence[Row]) -> tuple[Ids, FloatArray]:
        """Return ids and embeddings (n, dim) of (id, bytes) rows that can have a code.

        NULL has no code, and an all-zero embedding has no cosine.
        """
        known = [row for row in rows if row[1] is not None]
        ids = ids_array(row[0] for row in known)
        embeddings = unpack([row[1] for row in known], self.dim)
        if self.metric != "cosine":
            return ids, embeddings
        nonzero = embeddings.any(axis=1)
        return ids[nonzero], embeddings[nonzero]
