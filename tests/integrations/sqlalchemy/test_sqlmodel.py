"""SQLModel: fields of vectors, in models that are pydantic's as well."""

from typing import Any

import numpy as np
import pytest
from sqlmodel import Field, Session, SQLModel, create_engine, select

import lookalike
from lookalike.integrations.sqlalchemy import VECTOR, nearest
from tests.conftest import new_database
from tests.integrations.sqlalchemy.conftest import url_of


class Shoe(SQLModel, table=True):
    """A shoe."""

    id: int | None = Field(default=None, primary_key=True)
    title: str
    photo: Any = Field(sa_type=VECTOR(3))


@pytest.mark.works("SQLModel")
@pytest.mark.parametrize("driver", ["pymysql", "mariadb"])
def test_models_with_vectors(driver, request):
    server = request.getfixturevalue("mariadb" if driver == "mariadb" else "server")
    with new_database(server) as url:
        engine = create_engine(url_of(driver, url))
        SQLModel.metadata.create_all(engine)
        with Session(engine) as session:
            session.add(Shoe(title="red", photo=[1, 0, 0]))
            session.add(Shoe(title="blue", photo=np.array([0, 1, 0])))
            session.commit()
            if driver != "mariadb":
                with lookalike.connect(url) as db:
                    db.table("shoe")
            near = nearest(Shoe.photo, [0.9, 0.1, 0], k=1)
            shoe = session.exec(select(Shoe).join(near, near.c.id == Shoe.id)).one()
            assert shoe.title == "red" and shoe.photo.tolist() == [1, 0, 0]
        engine.dispose()
