"""An operation of migrations that creates an index of vectors."""

from typing import Any
from urllib.parse import quote, urlencode

from django.db.migrations.operations.base import Operation

import lookalike
from lookalike import InputError, Metric
from lookalike.integrations.django.distances import is_mariadb


class CreateVectorIndex(Operation):
    """Create the index that `nearest` uses, and drop it when the migration is taken back.

    On MySQL Community this is lookalike's, beside the table; on MariaDB its own VECTOR INDEX. Where
    MySQL ranks by itself nothing is created.

    Args:
        model_name: Name of the model.
        field: Name of its VectorField.
        metric: "cosine" (default), "euclidean" or "dot".
        name: Name of the index; by default that of the table.

    Example:
        >>> operation = CreateVectorIndex("product", "embedding")
        >>> operation.describe()
        'Create an index of the vectors product.embedding'
    """

    reversible = True
    reduces_to_sql = False

    def __init__(
        self, model_name: str, field: str, *, metric: Metric = "cosine", name: str | None = None
    ) -> None:
        if metric not in ("cosine", "euclidean", "dot"):
            raise InputError(f"unknown metric {metric!r}; choose cosine, euclidean, dot")
        self.model_name = model_name
        self.field = field
        self.metric = metric
        self.name = name

    def deconstruct(self) -> tuple[str, list[Any], dict[str, Any]]:
        """Return how a migration writes the operation."""
        keywords = {"metric": self.metric, "name": self.name}
        return type(self).__name__, [self.model_name, self.field], keywords

    def state_forwards(self, app_label: str, state: Any) -> None:
        """Leave the models as they are."""

    def database_forwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        """Create the index."""
        model = to_state.apps.get_model(app_label, self.model_name)
        if not self.allow_migrate_model(schema_editor.connection.alias, model):
            return
        table, column = model._meta.db_table, model._meta.get_field(self.field).column
        if is_mariadb(schema_editor.connection):
            if self.metric == "dot":
                raise InputError("MariaDB's index ranks by cosine or euclidean, not by dot")
            names = [schema_editor.quote_name(each) for each in (table, self._name(model), column)]
            schema_editor.execute(
                "ALTER TABLE {} ADD VECTOR INDEX {} ({}) DISTANCE=".format(*names) + self.metric
            )
            return
        with lookalike.connect(url_of(schema_editor.connection)) as db:
            if not db.dialect.has_nearest:
                db.table(table, vector=column, metric=self.metric, alias=self._name(model))

    def database_backwards(
        self, app_label: str, schema_editor: Any, from_state: Any, to_state: Any
    ) -> None:
        """Drop the index."""
        model = from_state.apps.get_model(app_label, self.model_name)
        if not self.allow_migrate_model(schema_editor.connection.alias, model):
            return
        if is_mariadb(schema_editor.connection):
            names = [schema_editor.quote_name(n) for n in (model._meta.db_table, self._name(model))]
            schema_editor.execute("ALTER TABLE {} DROP INDEX {}".format(*names))
            return
        with lookalike.connect(url_of(schema_editor.connection)) as db:
            if not db.dialect.has_nearest:
                db.drop_index(self._name(model))

    def describe(self) -> str:
        """Return what `migrate` says."""
        return f"Create an index of the vectors {self.model_name}.{self.field}"

    @property
    def migration_name_fragment(self) -> str:
        """What the name of a migration says."""
        return f"{self.model_name}_{self.field}_vector_index".lower()

    def _name(self, model: Any) -> str:
        return self.name or str(model._meta.db_table)


def url_of(connection: Any) -> str:
    """Return the URL that lookalike connects to, for one of Django's connections."""
    settings = connection.settings_dict
    options, host = settings.get("OPTIONS", {}), settings.get("HOST") or "localhost"
    query = {}
    socket = options.get("unix_socket") or (host if host.startswith("/") else None)
    if socket:
        query["unix_socket"] = socket
        host = "localhost"
    tls = options.get("ssl") or {}
    query |= {f"ssl_{name}": tls[name] for name in ("ca", "cert", "key") if name in tls}
    if options.get("ssl_mode"):
        query["ssl_mode"] = options["ssl_mode"]
    user, password = (quote(settings.get(each) or "", safe="") for each in ("USER", "PASSWORD"))
    login = f"{user}:{password}" if password else user
    place = f"{host}:{settings['PORT']}" if settings.get("PORT") and not socket else host
    ending = f"?{urlencode(query)}" if query else ""
    return f"mysql://{login}@{place}/{quote(settings['NAME'], safe='')}{ending}"
