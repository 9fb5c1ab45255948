"""VectorField, distances, `nearest` and the index of migrations."""

import importlib
import json

import numpy as np
import pytest

import lookalike
from lookalike import InputError
from tests.integrations.django.conftest import DIM, EMBEDDINGS, QUERY, of_docs


def migrate(to=None):
    from django.core.management import call_command

    call_command("migrate", "shop", *([to] if to else []), verbosity=0)


@pytest.fixture(scope="module")
def migrations(project, database):
    """The app's migrations: the first is made by makemigrations."""
    from django.core.management import call_command

    folder = project / "migrations"
    if not (folder / "0001_initial.py").exists():
        call_command("makemigrations", "shop", verbosity=0)
        (folder / "0002_index.py").write_text(of_docs("shop/migrations/0002_index.py"))
        importlib.invalidate_caches()
    return folder


@pytest.fixture(scope="module")
def products(database, migrations):
    """The model, with rows and an index."""
    from django.apps import apps

    model = apps.get_model("shop", "Product")
    migrate("0001")
    model.objects.bulk_create(
        [model(title=f"p{i}", price=i % 100, embedding=each) for i, each in enumerate(EMBEDDINGS)]
    )
    migrate()
    if not is_mariadb():
        with lookalike.connect(database) as db:
            db.install_functions()
    return model


def is_mariadb():
    from django.db import connection

    return connection.mysql_is_mariadb


def distances(metric):
    rows, query = EMBEDDINGS.astype(np.float64), QUERY.astype(np.float64)
    if metric == "euclidean":
        return np.linalg.norm(rows - query, axis=1)
    dots = rows @ query
    if metric == "dot":
        return dots
    return 1 - dots / np.linalg.norm(rows, axis=1) / np.linalg.norm(query)


def nearest_titles(k, most=100):
    return [f"p{i}" for i in np.argsort(distances("cosine")) if i % 100 < most][:k]


@pytest.mark.works("makemigrations")
def test_makemigrations_writes_the_field(migrations):
    written = (migrations / "0001_initial.py").read_text()
    assert "import lookalike.integrations.django" in written
    assert f"lookalike.integrations.django.VectorField(dimensions={DIM})" in written


@pytest.mark.works("makemigrations")
def test_nothing_is_left_to_migrate(products):
    from django.core.management import call_command

    call_command("makemigrations", "shop", check=True, dry_run=True, verbosity=0)


@pytest.mark.works("writes and reads vectors")
def test_vectors_come_back_bit_for_bit(products):
    for i, product in enumerate(products.objects.order_by("pk")[:5]):
        assert product.embedding.dtype == np.float32
        assert product.embedding.tobytes() == EMBEDDINGS[i].tobytes()
    product.embedding = QUERY
    product.save()
    product.refresh_from_db()
    assert product.embedding.tobytes() == QUERY.tobytes()
    products.objects.filter(pk=product.pk).update(embedding=EMBEDDINGS[4].tolist())
    read = products.objects.values_list("embedding", flat=True).get(pk=product.pk)
    assert read.tobytes() == EMBEDDINGS[4].tobytes()


@pytest.mark.works("serializers")
def test_fixtures_hold_vectors(products):
    from django.core import serializers

    product = products.objects.get(title="p3")
    text = serializers.serialize("json", [product])
    assert np.float32(json.loads(json.loads(text)[0]["fields"]["embedding"])[0]) == EMBEDDINGS[3][0]
    (again,) = serializers.deserialize("json", text)
    assert again.object.embedding.tobytes() == EMBEDDINGS[3].tobytes()
    product.full_clean()


@pytest.mark.works("distances")
@pytest.mark.parametrize(
    ("name", "metric", "sign"),
    [
        ("CosineDistance", "cosine", 1),
        ("EuclideanDistance", "euclidean", 1),
        ("L2Distance", "euclidean", 1),
        ("DotProduct", "dot", 1),
        ("MaxInnerProduct", "dot", -1),
    ],
)
def test_distances_are_those_of_numpy(products, name, metric, sign):
    from lookalike.integrations import django

    kind = getattr(django, name)
    found = products.objects.annotate(d=kind("embedding", QUERY)).order_by("pk")[:20]
    expected = sign * distances(metric)[:20]
    assert np.allclose([each.d for each in found], expected, rtol=1e-6, atol=1e-6)
    ordered = products.objects.filter(price__lt=50).order_by(
        django.CosineDistance("embedding", QUERY)
    )
    assert [each.title for each in ordered[:5]] == nearest_titles(5, most=50)


@pytest.mark.works("nearest")
def test_the_nearest_rows(products):
    from django.db.models import Q

    from lookalike.integrations.django import nearest

    found = list(nearest(products.objects.all(), "embedding", QUERY, k=10))
    assert [each.title for each in found] == nearest_titles(10)
    assert np.allclose([each.distance for each in found], np.sort(distances("cosine"))[:10])
    for where in (
        Q(price__lt=30),
        Q(price__lt=30) & ~Q(title="nothing"),
        Q(price__lte=9) | Q(price__gt=9, price__lt=30),
        Q(price__in=range(30)) & Q(title__isnull=False),
    ):
        cheap = nearest(products.objects.all(), "embedding", QUERY, k=5, where=where)
        assert [each.title for each in cheap] == nearest_titles(5, most=30)
    if not is_mariadb():
        assert nearest(products.objects.filter(price__lt=50), "embedding", QUERY).count() < 10
        with pytest.raises(InputError, match="takes comparisons of the model's own fields"):
            nearest(products.objects.all(), "embedding", QUERY, where=Q(title__contains="x"))


@pytest.mark.works("nearest")
def test_it_sees_what_its_transaction_has_written(products):
    from django.db import transaction

    from lookalike.integrations.django import nearest

    with transaction.atomic():
        products.objects.create(title="new", price=1, embedding=QUERY)
        (found,) = nearest(products.objects.all(), "embedding", QUERY, k=1)
        assert found.title == "new"
        transaction.set_rollback(True)
    (found,) = nearest(products.objects.all(), "embedding", QUERY, k=1)
    assert found.title == nearest_titles(1)[0]


@pytest.mark.works("index in migrations")
def test_migrations_run_both_ways(products, database):
    from django.db import connection

    from lookalike.integrations.django import nearest

    def indexes():
        if is_mariadb():
            with connection.cursor() as cursor:
                cursor.execute("SHOW INDEX FROM shop_product WHERE Index_type = 'VECTOR'")
                return [row[2] for row in cursor.fetchall()]
        with lookalike.connect(database) as db:
            return [each.name for each in db.tables()]

    assert indexes() == ["shop_product"]
    migrate("0001")
    assert indexes() == []
    if not is_mariadb():
        place = r"test_\w+\.shop_product\.embedding"
        with pytest.raises(InputError, match=f"run lookalike index create {place}"):
            nearest(products.objects.all(), "embedding", QUERY)
    migrate()
    assert indexes() == ["shop_product"]
    (found,) = nearest(products.objects.all(), "embedding", QUERY, k=1)
    assert found.title == nearest_titles(1)[0]
    migrate("zero")
    assert "shop_product" not in connection.introspection.table_names()
    assert indexes() == [] if not is_mariadb() else True


def test_other_servers_are_refused(database):
    from django.apps import apps
    from django.db.backends.sqlite3.base import DatabaseWrapper

    from lookalike.integrations.django import CosineDistance

    sqlite = DatabaseWrapper({"NAME": ":memory:"})
    products = apps.get_model("shop", "Product").objects
    query = products.annotate(d=CosineDistance("embedding", QUERY)).query
    with pytest.raises(InputError, match="vectors are for MySQL and MariaDB, not for sqlite"):
        query.get_compiler(connection=sqlite).as_sql()


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (
            {"USER": "a", "PASSWORD": "p@/", "HOST": "db", "PORT": "3307", "NAME": "shop"},
            "mysql://a:p%40%2F@db:3307/shop",
        ),
        (
            {"USER": "a", "HOST": "/run/my.sock", "NAME": "shop"},
            "mysql://a@localhost/shop?unix_socket=%2Frun%2Fmy.sock",
        ),
        (
            {"USER": "a", "NAME": "s", "OPTIONS": {"ssl": {"ca": "/ca.pem"}}},
            "mysql://a@localhost/s?ssl_ca=%2Fca.pem",
        ),
    ],
)
def test_the_url_of_djangos_settings(settings, expected):
    from types import SimpleNamespace

    from lookalike.database.url import DatabaseURL
    from lookalike.integrations.django.operations import url_of

    assert url_of(SimpleNamespace(settings_dict=settings)) == expected
    assert DatabaseURL.parse(expected).database == settings["NAME"]
