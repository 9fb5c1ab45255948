"""`nearest` on MariaDB is of the form that its own vector index serves."""

from sqlalchemy import create_engine, event, select, text

from lookalike.integrations.sqlalchemy import nearest
from tests.conftest import new_database
from tests.integrations.sqlalchemy.conftest import fill, url_of
from tests.integrations.sqlalchemy.shop import QUERY, Product, nearest_ids


def test_mariadb_uses_its_index(mariadb):
    with new_database(mariadb) as url:
        fill(url_of("mariadb", url))
        engine, sent = create_engine(url_of("mariadb", url)), []
        with engine.connect() as connection:
            by = "ADD VECTOR INDEX by_embedding (embedding) M=16 DISTANCE=cosine"
            connection.execute(text(f"ALTER TABLE products {by}"))
            event.listen(
                engine,
                "before_cursor_execute",
                lambda *args: sent.append((args[2], args[3])),
            )
            near = nearest(Product.embedding, QUERY, k=5)
            statement = select(Product.product_id).join(near, near.c.id == Product.product_id)
            statement = statement.order_by(near.c.distance)
            assert connection.scalars(statement).all() == nearest_ids(5)
            ((sql, params),) = sent
            plan = connection.exec_driver_sql(f"EXPLAIN {sql}", params).mappings().all()
        engine.dispose()
    assert "by_embedding" in [row["key"] for row in plan], plan
