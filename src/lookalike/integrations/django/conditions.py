"""Conditions of Django as lookalike's, which its index can use."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from django.core.exceptions import FieldDoesNotExist
from django.db.models import Model, Q

from lookalike import AnyOf, Condition, InputError

_OPERATORS = {"exact": "=", "lt": "<", "lte": "<=", "gt": ">", "gte": ">=", "in": "in"}
_OPPOSITES = {"=": "!=", "!=": "=", "<": ">=", "<=": ">", ">": "<=", ">=": "<", "in": "not in"}


def conditions_of(where: Q, model: type[Model]) -> list[Condition | AnyOf]:
    """Return the conditions of a Q that must all hold.

    Raises:
        InputError: It is not made of comparisons of the model's own fields with values.
    """
    if where.connector == Q.XOR or (where.negated and len(where.children) != 1):
        raise _refusal(where)
    parts: list[list[Condition | AnyOf]] = [
        conditions_of(child, model) if isinstance(child, Q) else [_condition(child, model)]
        for child in where.children
    ]
    if where.negated:
        (part,) = parts
        return [_opposite(part, where)]
    if where.connector == Q.OR:
        return [AnyOf(*parts)]
    return [condition for part in parts for condition in part]


def _condition(child: Any, model: type[Model]) -> Condition:
    path, value = child
    name, _, lookup = path.partition("__")
    try:
        column = model._meta.pk.column if name == "pk" else model._meta.get_field(name).column
    except (FieldDoesNotExist, AttributeError):
        raise _refusal(child) from None
    if lookup == "isnull" or value is None:
        is_missing = bool(value) if lookup == "isnull" else True
        return Condition(column, "=" if is_missing else "!=", None)
    operator = _OPERATORS.get(lookup or "exact")
    if operator is None or hasattr(value, "resolve_expression"):
        raise _refusal(child)
    is_several = operator == "in"
    return Condition(column, operator, tuple(map(_plain, value)) if is_several else _plain(value))


def _opposite(part: Sequence[Condition | AnyOf], where: Q) -> Condition:
    match part:
        case [Condition(name=name, operator=operator, value=value)]:
            return Condition(name, _OPPOSITES[operator], value)
    raise _refusal(where)


def _plain(value: Any) -> Any:
    return float(value) if isinstance(value, Decimal) else value


def _refusal(where: object) -> InputError:
    return InputError(
        f"nearest(where=) takes comparisons of the model's own fields with values, not {where}: "
        "filter the queryset, which chooses among the k nearest"
    )
