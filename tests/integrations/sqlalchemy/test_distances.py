"""Distances, compiled for each engine."""

import numpy as np
import pytest
from sqlalchemy import create_engine, select
from sqlalchemy.orm import Session, aliased

import lookalike
from lookalike.integrations.sqlalchemy import cosine_distance, dot
from tests.integrations.sqlalchemy.conftest import url_of
from tests.integrations.sqlalchemy.shop import (
    EMBEDDINGS,
    QUERY,
    Base,
    Product,
    distances,
    nearest_ids,
)

COMPARATORS = {
    "cosine_distance": ("cosine", 1),
    "euclidean_distance": ("euclidean", 1),
    "l2_distance": ("euclidean", 1),
    "dot": ("dot", 1),
    "max_inner_product": ("dot", -1),
}


@pytest.mark.works("distances")
@pytest.mark.parametrize("name", COMPARATORS)
def test_distances_are_those_of_numpy(run, name):
    metric, sign = COMPARATORS[name]
    distance = getattr(Product.embedding, name)(QUERY)
    statement = select(distance).order_by(Product.product_id).limit(20)
    found = run(lambda connection: connection.scalars(statement).all())
    assert np.allclose(found, sign * distances(metric)[:20], rtol=1e-6, atol=1e-6)


@pytest.mark.works("distances")
def test_rows_are_ordered_by_a_distance(run):
    statement = (
        select(Product)
        .where(Product.price < 50)
        .order_by(Product.embedding.cosine_distance(QUERY))
        .limit(5)
    )
    found = run(lambda connection: Session(connection).scalars(statement).all())
    assert [each.product_id for each in found] == nearest_ids(5, most=50)


@pytest.mark.works("distances")
def test_two_columns_are_compared(run):
    other = aliased(Product)
    statement = (
        select(
            Product.embedding.l2_distance(other.embedding), cosine_distance(QUERY, other.embedding)
        )
        .join(other, other.product_id == Product.product_id + 1)
        .where(Product.product_id == 1)
    )
    between, to_query = run(lambda connection: connection.execute(statement).one())
    assert between == pytest.approx(np.linalg.norm(EMBEDDINGS[0] - EMBEDDINGS[1]))
    assert to_query == pytest.approx(distances("cosine")[1])


def test_without_functions_the_error_names_the_command(database_url):
    engine = create_engine(url_of("pymysql", database_url))
    Base.metadata.create_all(engine)
    statement = select(Product.embedding.cosine_distance(QUERY))
    with engine.connect() as connection:
        with pytest.raises(lookalike.DatabaseError, match="run lookalike install-functions"):
            connection.execute(statement)
        connection.rollback()
        with lookalike.connect(database_url) as db:
            db.install_functions()
        assert connection.execute(statement).all() == []
    engine.dispose()


def test_a_server_with_distance_uses_it(database_url, monkeypatch):
    """On MySQL AI, HeatWave and Percona, whose dialect says that the server ranks."""
    from lookalike.dialects.mysql import MySQL

    monkeypatch.setattr(MySQL, "has_nearest", True)
    engine = create_engine(url_of("pymysql", database_url))
    with lookalike.connect(database_url) as db:
        db.install_functions()
    Base.metadata.create_all(engine)
    with engine.connect() as connection:
        assert connection.execute(select(dot(Product.embedding, QUERY))).all() == []
    engine.dispose()


def test_shown_statements_name_the_distance():
    assert "cosine_distance(products.embedding, " in str(Product.embedding.cosine_distance(QUERY))
