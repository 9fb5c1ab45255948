"""What differs between engines is written in one place, and another engine replaces it there."""

import re
from pathlib import Path

import pytest

import lookalike
from lookalike.dialects import Dialect, Table

TABLES = sorted((Path(lookalike.__file__).parent / "dialects" / "tables").glob("*.py"))
MYSQLS_OWN = r"AS BINARY\)|FOR SHARE|FOR UPDATE|\bROW\(|MEMBER OF|RETURNING|_0900_|VECTOR\("


@pytest.mark.parametrize("file", TABLES, ids=lambda file: file.name)
def test_no_family_of_tables_writes_what_differs(file):
    code = re.sub(r'""".*?"""', "", file.read_text(), flags=re.S)
    assert not re.findall(MYSQLS_OWN, code)


class Other(Dialect):
    """An engine with another way to write each."""

    locks = {**Dialect.locks, "share nowait": "LOCK IN SHARE MODE NOWAIT"}  # noqa: RUF012

    def vector_type(self, dim):
        return f"FLOATS({dim})"

    def embedding_bytes(self, table, row=""):
        return f"TO_BYTES({row}{table.embedding})"

    def values_table(self, name, columns, n_rows):
        row = f"({', '.join(['%s'] * len(columns))})"
        return f"(VALUES {', '.join([row] * n_rows)}) AS {name}"


def test_another_engine_replaces_them():
    sql, table = Other(), Table("t", "k", None, "vec")
    assert "`vec` FLOATS(3)" in sql.create_collection(table, 3).sql
    assert "SELECT `k`, TO_BYTES(`vec`) AS embedding" in sql.embeddings(table, [1]).sql
    assert sql.ids_among(table, [1], lock="share nowait").sql.endswith("LOCK IN SHARE MODE NOWAIT")
    update = sql.update_attributes(table, ["price"], [(1, None, 5), (2, None, 7)])
    assert "JOIN (VALUES (%s, %s, %s), (%s, %s, %s)) AS new" in update.sql
