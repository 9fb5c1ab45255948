"""The collection's table as it is after a round."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tests.torture import data
from tests.torture.server import RoundServer


@dataclass(frozen=True)
class StoredRow:
    """A row; embedding is None for NULL, shelf for no such attribute."""

    id: int
    name: str
    embedding: bytes | None
    shelf: int | None


def read_rows(server: RoundServer, collection: str) -> list[StoredRow]:
    """Return all rows, by id."""
    with server.session() as cursor:
        cursor.execute(
            "SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = DATABASE() "
            "AND table_name = %s AND column_name = 'attributes'",
            (collection,),
        )
        (has_attributes,) = cursor.fetchone()
        shelf = "attributes->>'$.shelf'" if has_attributes else "NULL"
        cursor.execute(
            f"SELECT id, image_name, CAST(embedding AS BINARY), {shelf} FROM {collection} "
            "ORDER BY id"
        )
        return [
            StoredRow(row_id, name, embedding, None if on_shelf is None else int(on_shelf))
            for row_id, name, embedding, on_shelf in cursor.fetchall()
        ]


def vectors_of(rows: Sequence[StoredRow], dim: int) -> data.Vectors:
    """Return the embeddings (n, dim) of rows that have one."""
    packed = b"".join(row.embedding for row in rows if row.embedding is not None)
    return np.frombuffer(packed, "<f4").reshape(-1, dim)
