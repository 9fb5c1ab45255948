"""A shop with similar products: fastapi, SQLAlchemy and lookalike. uvicorn app:app"""

from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import Depends, FastAPI, HTTPException
from models import Product, engine
from sqlalchemy import and_, select
from sqlalchemy.orm import Session

from lookalike.integrations.sqlalchemy import nearest

app = FastAPI(title="A shop")


def open_session() -> Iterator[Session]:
    """Open a session for one request."""
    with Session(engine) as session:
        yield session


Database = Annotated[Session, Depends(open_session)]


@app.get("/products")
def products(session: Database) -> list[dict[str, Any]]:
    """List all products."""
    return [shown(product) for product in session.scalars(select(Product))]


@app.get("/products/{number}/similar")
def similar(
    number: int, session: Database, k: int = 5, max_price: float = 1e9
) -> list[dict[str, Any]]:
    """List the k products whose pictures are most like that of a product."""
    product = session.get(Product, number)
    if product is None:
        raise HTTPException(404, f"there is no product {number}")
    chosen = and_(Product.price <= max_price, Product.id != number)
    near = nearest(Product.embedding, product.embedding, k, where=chosen)
    found = select(Product, near.c.distance).join(near, near.c.id == Product.id)
    rows = session.execute(found.order_by(near.c.distance))
    return [shown(product) | {"distance": round(distance, 4)} for product, distance in rows]


def shown(product: Product) -> dict[str, Any]:
    """Return what a page shows of a product."""
    return {"id": product.id, "name": product.name, "price": product.price}
