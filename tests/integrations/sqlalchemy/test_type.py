"""VECTOR(n): written, read, refused and reflected."""

import numpy as np
import pytest
from sqlalchemy import Column, Integer, MetaData, Table, inspect, literal, select, text
from sqlalchemy.dialects import mysql
from sqlalchemy.schema import CreateTable

from lookalike import EmbeddingError, InputError
from lookalike.integrations.sqlalchemy import VECTOR, Vector
from tests.integrations.sqlalchemy.shop import EMBEDDINGS, Product

ODD = np.frombuffer(b"".join(bytes((0x27, 0x5C, 0x80 + i, 0x3E)) for i in range(24)), "<f4")
"""Bytes that texts would have to escape, among them quotes, backslashes and invalid UTF-8."""


@pytest.fixture(scope="module")
def vectors(run):
    table = Table(
        "vectors",
        MetaData(),
        Column("id", Integer, primary_key=True),
        Column("v", VECTOR(24)),
    )
    run(table.create)
    yield table
    run(table.drop)


@pytest.mark.works("writes and reads vectors")
def test_vectors_come_back_bit_for_bit(run, vectors):
    given = [ODD, np.linspace(-1, 1, 24), [0.1] * 24, None]
    rows = [{"id": i, "v": each} for i, each in enumerate(given, 1)]
    run(lambda connection: connection.execute(vectors.insert(), rows))
    found = run(lambda c: c.scalars(select(vectors.c.v).order_by(vectors.c.id)).all())
    assert found[3] is None
    for expected, read in zip(given[:3], found[:3], strict=True):
        assert read.dtype == np.float32 and read.flags.writeable
        assert read.tobytes() == np.asarray(expected, "<f4").tobytes()


@pytest.mark.works("writes and reads vectors")
def test_a_subquery_and_an_alias_read_arrays(run, vectors):
    inner = select(vectors.c.v.label("v")).where(vectors.c.id == 1).subquery()
    assert run(lambda c: c.scalar(select(inner.c.v))).tobytes() == ODD.tobytes()
    other = vectors.alias()
    assert run(lambda c: c.scalar(select(other.c.v).where(other.c.id == 1))).shape == (24,)


@pytest.mark.works("literals")
def test_a_literal_is_the_same_vector(run, vectors):
    found = select(vectors.c.id).where(vectors.c.id == 1)
    same = found.where(vectors.c.v == literal(ODD, VECTOR(24)))

    def work(connection):
        sql = str(same.compile(connection, compile_kwargs={"literal_binds": True}))
        assert ODD.tobytes().hex() in sql
        # A VECTOR is not equal to bytes on every server: compare them as bytes.
        sql = sql.replace("vectors.v =", "CAST(vectors.v AS BINARY) =")
        return connection.execute(text(sql.replace(":", "\\:"))).scalar()

    assert run(work) == 1


@pytest.mark.works("reflection")
def test_a_column_is_reflected(run):
    def work(connection):
        (found,) = (
            each["type"]
            for each in inspect(connection).get_columns("products")
            if each["name"] == "embedding"
        )
        return found, Table("products", MetaData(), autoload_with=connection)

    found, table = run(work)
    assert isinstance(found, VECTOR) and found.dim == 16
    query = select(table.c.embedding).where(table.c.product_id == 1)
    read = run(lambda connection: connection.scalar(query))
    assert read.tobytes() == EMBEDDINGS[0].tobytes()


def test_ddl():
    table = Table("t", MetaData(), Column("v", VECTOR(3)), Column("w", Vector))
    assert "v VECTOR(3), \n\tw VECTOR\n" in str(CreateTable(table).compile(dialect=mysql.dialect()))
    assert repr(VECTOR(3)) == "VECTOR(dim=3)"


@pytest.mark.parametrize("dim", [0, -1, 16384])
def test_a_length_out_of_range_is_refused(dim):
    with pytest.raises(InputError, match=f"VECTOR\\({dim}\\): give 1 to 16383 dimensions"):
        VECTOR(dim)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ([1, 2], r"a vector has shape \(3,\), not \(2,\)"),
        ([[1, 2, 3]], r"a vector has shape \(3,\), not \(1, 3\)"),
        (["a", "b", "c"], "a vector must be numbers"),
        ([1, 2, float("nan")], "NaN or infinity"),
        ([1, 2, 1e39], "NaN or infinity"),
    ],
)
def test_what_is_no_vector_is_refused(value, said):
    with pytest.raises(EmbeddingError, match=said):
        VECTOR(3).bind_processor(mysql.dialect())(value)


def test_the_model_has_the_type():
    assert isinstance(Product.__table__.c.embedding.type, VECTOR)
