"""Alembic's autogenerate: a migration with VECTOR columns, there and back, without a difference."""

import pytest
from alembic.autogenerate import compare_metadata, produce_migrations, render_python_code
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Column, Index, Integer, MetaData, String, Table, create_engine, inspect

import lookalike
from lookalike.integrations.sqlalchemy import VECTOR, include_name, render_item
from tests.conftest import new_database
from tests.integrations.sqlalchemy.conftest import url_of

OPTIONS = {"include_name": include_name, "render_item": render_item, "compare_type": True}


def metadata_of(dim=3, **more):
    """The models of a program: shoes, with vectors of so many dimensions."""
    metadata = MetaData()
    Table(
        "shoes",
        metadata,
        Column("id", Integer, primary_key=True),
        Column("title", String(100)),
        Column("photo", VECTOR(dim), nullable=False),
        *(Column(name, type_) for name, type_ in more.items()),
    )
    return metadata


@pytest.fixture(scope="module", params=["pymysql", "mysql.connector", "mariadb"])
def driver(request):
    return request.param


@pytest.fixture
def connection(driver, request):
    server = request.getfixturevalue("mariadb" if driver == "mariadb" else "server")
    with new_database(server) as url:
        engine = create_engine(url_of(driver, url))
        with engine.connect() as connection:
            connection.info["lookalike"] = url
            yield connection
        engine.dispose()


def differences(connection, metadata):
    return compare_metadata(MigrationContext.configure(connection, opts=OPTIONS), metadata)


def migrate(connection, metadata):
    """Generate a migration as code, run it, and return (code, what runs it back)."""
    context = MigrationContext.configure(
        connection, opts={**OPTIONS, "target_metadata": metadata, "user_module_prefix": None}
    )
    script = produce_migrations(context, metadata)
    imports = script._needs_render = set()
    up, down = (
        render_python_code(operations, render_item=render_item, imports=imports)
        for operations in (script.upgrade_ops, script.downgrade_ops)
    )
    head = "import sqlalchemy as sa\nfrom sqlalchemy.dialects import mysql\n"
    head += "from lookalike.integrations.sqlalchemy import VECTOR\n"

    def execute(code):
        body = "\n".join(line.strip() if line[:4] == "    " else line for line in code.split("\n"))
        exec(head + body, {"op": Operations(context)})

    execute(up)
    return up, lambda: execute(down)


@pytest.mark.works("Alembic")
def test_a_table_is_migrated_there_and_back(connection):
    code, back = migrate(connection, metadata_of())
    assert "sa.Column('photo', VECTOR(dim=3), nullable=False)" in code
    assert differences(connection, metadata_of()) == []
    back()
    assert inspect(connection).get_table_names() == []


@pytest.mark.works("Alembic")
def test_a_column_is_added_and_taken_back(connection):
    metadata_of().create_all(connection)
    code, back = migrate(connection, metadata_of(other=VECTOR(5)))
    assert "op.add_column('shoes', sa.Column('other', VECTOR(dim=5)" in code
    assert differences(connection, metadata_of(other=VECTOR(5))) == []
    back()
    assert differences(connection, metadata_of()) == []


@pytest.mark.works("Alembic")
def test_another_length_is_a_difference(connection):
    metadata_of().create_all(connection)
    ((change, *_),) = differences(connection, metadata_of(dim=4))
    assert change[0] == "modify_type" and (change[5].dim, change[6].dim) == (3, 4)
    code, _ = migrate(connection, metadata_of(dim=4))
    assert "existing_type=VECTOR(dim=3)" in code and "type_=VECTOR(dim=4)" in code
    assert differences(connection, metadata_of(dim=4)) == []


@pytest.mark.works("Alembic")
# What SQLAlchemy says of MariaDB's index; it compares names and columns.
@pytest.mark.filterwarnings("ignore:Converting unknown KEY type")
def test_the_index_is_no_difference(connection, driver):
    metadata = metadata_of()
    if driver == "mariadb":
        Index("by_photo", metadata.tables["shoes"].c.photo, mariadb_prefix="VECTOR")
    metadata.create_all(connection)
    connection.commit()
    if driver == "mariadb":
        created = connection.exec_driver_sql("SHOW CREATE TABLE shoes").one()[1]
        assert "VECTOR KEY `by_photo` (`photo`)" in created
    else:
        with lookalike.connect(connection.info["lookalike"]) as db:
            db.table("shoes")
        assert "lookalike_tables" in inspect(connection).get_table_names()
    assert differences(connection, metadata) == []
