"""`nearest` in statements: through the index, in the statement's own transaction."""

import asyncio

import numpy as np
import pytest
from sqlalchemy import and_, create_engine, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session, aliased

import lookalike
from lookalike import InputError
from lookalike.integrations.sqlalchemy import nearest
from tests.integrations.sqlalchemy.conftest import ASYNC, url_of
from tests.integrations.sqlalchemy.shop import (
    DIM,
    EMBEDDINGS,
    QUERY,
    Base,
    Product,
    distances,
    nearest_ids,
)

pytestmark = pytest.mark.works("nearest")


def similar(near, *entities):
    """Select products in the order of their distance."""
    return (
        select(*(entities or (Product.product_id,)))
        .join(near, near.c.id == Product.product_id)
        .order_by(near.c.distance)
    )


def test_the_nearest_rows_and_their_distances(run):
    near = nearest(Product.embedding, QUERY, k=10)
    statement = similar(near, Product.product_id, near.c.distance)
    for _ in range(2):  # the second time with the index that is loaded
        rows = run(lambda connection: connection.execute(statement).all())
        assert [row[0] for row in rows] == nearest_ids(10)
        expected = np.sort(distances("cosine"))[:10]
        assert np.allclose([row[1] for row in rows], expected, atol=1e-6)


def test_models_are_selected(run):
    near = nearest(Product.embedding, QUERY, k=3)
    found = run(lambda c: Session(c).scalars(similar(near, Product)).all())
    assert [each.title for each in found] == [f"p{i - 1}" for i in nearest_ids(3)]


def test_where_outside_chooses_among_the_nearest(run):
    near = nearest(Product.embedding, QUERY, k=10)
    statement = similar(near).where(Product.price < 50)
    found = run(lambda connection: connection.scalars(statement).all())
    assert found == [i for i in nearest_ids(10) if (i - 1) % 100 < 50]


@pytest.mark.parametrize(
    "where",
    [
        Product.price < 30,
        [Product.price < 30, Product.title != "nothing"],
        and_(Product.price.in_(range(30)), Product.title.is_not(None)),
        or_(Product.price <= 9, and_(Product.price > 9, Product.price < 30)),
    ],
    ids=["one", "two", "in", "or"],
)
def test_where_inside_is_searched(run, where):
    near = nearest(Product.embedding, QUERY, k=5, where=where)
    found = run(lambda connection: connection.scalars(similar(near)).all())
    assert found == nearest_ids(5, most=30)


def test_two_searches_in_one_statement(run):
    one, two = (nearest(Product.embedding, EMBEDDINGS[i], k=1) for i in (3, 5))
    ids = select(one.c.id).union_all(select(two.c.id))
    assert run(lambda connection: connection.scalars(ids).all()) == [4, 6]


def test_it_is_a_table_like_others(run):
    near, other = nearest(Product.embedding, QUERY, k=4), aliased(Product)
    ids = select(near.c.id)
    count = select(func.count()).where(other.product_id.in_(ids))
    assert run(lambda connection: connection.scalar(count)) == 4
    cheaper = update(Product).where(Product.product_id.in_(ids)).values(price=Product.price + 0)
    assert run(lambda connection: connection.execute(cheaper).rowcount) in (0, 4)


def test_no_match_is_no_row(run):
    near = nearest(Product.embedding, QUERY, where=Product.price > 1000)
    assert run(lambda connection: connection.execute(similar(near)).all()) == []


def test_it_sees_what_its_transaction_has_written(run):
    new = {"product_id": 1000, "title": "new", "price": 5, "embedding": QUERY}
    near = nearest(Product.embedding, QUERY, k=1)

    def work(connection):
        with connection.begin_nested() as savepoint:
            connection.execute(Product.__table__.insert(), [new])
            found = connection.scalars(similar(near)).all()
            savepoint.rollback()
        return found, connection.scalars(similar(near)).all()

    assert run(work) == ([1000], nearest_ids(1))


@pytest.mark.works("nearest")
@pytest.mark.parametrize("driver", ASYNC, indirect=True)
def test_many_tasks_search_at_once(driver, server_url):
    async def main():
        engine = create_async_engine(url_of(driver, server_url), pool_size=8)

        async def one(i):
            near = nearest(Product.embedding, EMBEDDINGS[i], k=1)
            async with AsyncSession(engine) as session:
                return (await session.scalars(similar(near))).all()

        found = await asyncio.gather(*map(one, range(16)))
        await engine.dispose()
        return found

    assert asyncio.run(main()) == [[i + 1] for i in range(16)]


# What follows needs no particular driver.


@pytest.fixture
def engine(database_url):
    engine = create_engine(url_of("pymysql", database_url))
    Base.metadata.create_all(engine)
    yield engine
    engine.dispose()


def test_without_an_index_the_error_names_the_command(engine):
    with (
        engine.connect() as connection,
        pytest.raises(InputError, match=r"lookalike index create test_\w+\.products\.embedding"),
    ):
        connection.execute(select(nearest(Product.embedding, QUERY)))


def test_another_index_is_found_after_the_first_is_gone(engine, database_url):
    statement = select(nearest(Product.embedding, QUERY, k=1).c.id)
    with lookalike.connect(database_url) as db, Session(engine) as session:
        for number in (1, 2):
            session.add(Product(product_id=number, title="", price=1, embedding=QUERY))
            session.commit()
            db.table("products")
            assert session.scalars(statement).all() == [1]
            session.commit()
            db.drop_index("products")
        with pytest.raises(InputError, match="has no index"):
            session.scalars(statement)


def test_keys_of_text(engine, database_url):
    from sqlalchemy import Column, MetaData, String, Table

    from lookalike.integrations.sqlalchemy import VECTOR

    table = Table(
        "hats",
        MetaData(),
        Column("sku", String(20), primary_key=True),
        Column("photo", VECTOR(DIM)),
    )
    with lookalike.connect(database_url) as db, engine.connect() as connection:
        table.create(connection)
        rows = [{"sku": f"hat-{i}", "photo": EMBEDDINGS[i]} for i in range(50)]
        connection.execute(table.insert(), rows)
        connection.commit()
        db.table("hats", metric="euclidean")
        near = nearest(table.c.photo, EMBEDDINGS[7], k=2)
        statement = select(table.c.sku, near.c.distance).join(near, near.c.id == table.c.sku)
        (sku, distance), _ = connection.execute(statement.order_by(near.c.distance)).all()
        assert (sku, distance) == ("hat-7", pytest.approx(0, abs=1e-6))
        with pytest.raises(InputError, match="ranks by euclidean, not by cosine"):
            connection.execute(select(nearest(table.c.photo, EMBEDDINGS[7], metric="cosine")))


def test_a_statement_that_is_only_shown_searches_nothing():
    assert "nearest(products.embedding, 10) AS" in str(select(nearest(Product.embedding, QUERY)))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"k": 0}, "k is 0"),
        ({"metric": "manhattan"}, "unknown metric 'manhattan'; choose cosine, euclidean, dot"),
    ],
)
def test_arguments_are_checked(arguments, said):
    with pytest.raises(InputError, match=said):
        nearest(Product.embedding, QUERY, **arguments)


def test_conditions_that_the_index_cannot_use_are_refused(engine, database_url):
    with lookalike.connect(database_url) as db:
        db.table("products")
    near = nearest(Product.embedding, QUERY, where=func.length(Product.title) > 3)
    with (
        engine.connect() as connection,
        pytest.raises(InputError, match=r"takes comparisons .* put other conditions into \.where"),
    ):
        connection.execute(select(near))
