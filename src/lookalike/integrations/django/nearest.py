"""The nearest rows of a model, found through an index."""

from collections.abc import Sequence
from typing import Any

from django.db import connections
from django.db.models import Case, FloatField, Model, Q, QuerySet, Value, When

from lookalike import InputError, Match, Metric
from lookalike.integrations.django.conditions import conditions_of
from lookalike.integrations.django.distances import DISTANCES, is_mariadb, raw_of, readers_of
from lookalike.integrations.reading import distance_of


def nearest(
    queryset: QuerySet[Model],
    field: str,
    query: Any,
    k: int = 10,
    *,
    where: Q | None = None,
    metric: Metric | None = None,
    exact: bool = False,
) -> QuerySet[Any]:
    """Return those of a queryset that are among the k rows nearest to a query, nearest first.

    Each has an attribute `distance`: 1 - cosine, the Euclidean distance, or the dot product with a
    minus sign. On MySQL Community they are found at once, over Django's connection, through the
    index that `CreateVectorIndex` or `lookalike index create` makes; elsewhere the server ranks the
    whole queryset when it is read.

    Args:
        queryset: What is chosen of the k nearest; on other servers than MySQL Community, what is
            searched.
        field: Name of a VectorField.
        query: A vector.
        k: Number of rows.
        where: Only rows that meet it are searched: comparisons of the model's own fields with
            values, joined by & and |.
        metric: How to rank; by default as the index does on MySQL Community, else by cosine.
        exact: Compare every row instead of using the index, on MySQL Community.

    Raises:
        InputError: An argument cannot be used, or the column has no index; the message has the
            command that creates it.
    """
    if metric is not None and metric not in DISTANCES:
        raise InputError(f"unknown metric {metric!r}; choose {', '.join(DISTANCES)}")
    connection, model = connections[queryset.db], queryset.model
    if not is_mariadb(connection):
        with readers_of(connection).reading(raw_of(connection)) as db:
            if not db.dialect.has_nearest:
                index = db.index_of(model._meta.db_table, model._meta.get_field(field).column)
                if metric not in (None, index.metric):
                    raise InputError(f"the index of {field} ranks by {index.metric}, not {metric}")
                conditions = conditions_of(where, model) if where else None
                found = index.search(query, k=k, where=conditions, exact=exact)
                return _chosen(queryset, found, index.metric)
    distance = DISTANCES[metric or "cosine"](field, query)
    searched = queryset.filter(where or Q(), **{f"{field}__isnull": False})
    return searched.annotate(distance=distance).order_by("distance")[:k]


def _chosen(queryset: QuerySet[Any], found: Sequence[Match], metric: Metric) -> QuerySet[Any]:
    """Return the rows that were found with their distances, nearest first."""
    if not found:
        return queryset.none()
    keys = [each.id if each.key is None else each.key for each in found]
    cases = [
        When(pk=key, then=Value(distance_of(each.similarity, metric)))
        for key, each in zip(keys, found, strict=True)
    ]
    distance = Case(*cases, output_field=FloatField())
    return queryset.filter(pk__in=keys).annotate(distance=distance).order_by("distance")
