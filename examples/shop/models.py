"""The shop's tables, and the database that they are in."""

import os

import numpy as np
from sqlalchemy import String, create_engine, make_url
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

import lookalike
from lookalike.integrations.sqlalchemy import VECTOR

# By default the private MySQL, once `lookalike server start` has started it.
DATABASE = os.environ.get("SHOP_DATABASE") or lookalike.PrivateServer().url
engine = create_engine(make_url(DATABASE).set(drivername="mysql+pymysql"))


class Base(DeclarativeBase):
    """The shop's tables."""


class Product(Base):
    """What is sold. Its vector is made from its picture."""

    __tablename__ = "shop_products"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    category: Mapped[str] = mapped_column(String(50))
    price: Mapped[float]
    embedding: Mapped[np.ndarray] = mapped_column(VECTOR(1280))
