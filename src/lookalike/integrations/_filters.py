"""Filters in the style of many vector stores: {"price": {"$lt": 50}}."""

from collections.abc import Mapping
from typing import Any

from lookalike import AnyOf, Condition, InputError
from lookalike.integrations._documents import Where

_OPERATORS = {
    "$eq": "=",
    "$ne": "!=",
    "$lt": "<",
    "$lte": "<=",
    "$gt": ">",
    "$gte": ">=",
    "$in": "in",
    "$nin": "not in",
    "$contains": ":",
    "$like": "~",
}


def where_of(given: Where | Mapping[str, Any] | None) -> Where | None:
    """Return a filter as lookalike's conditions; its own kinds of filters are left as they are.

    Raises InputError for an operator that lookalike does not have.
    """
    if not isinstance(given, Mapping):
        return given
    return [each for name, asked in given.items() for each in _all_of(name, asked)]


def _all_of(name: str, asked: Any) -> list[Where]:
    """Return conditions that must all hold."""
    if name in ("$and", "$or"):
        if not isinstance(asked, list | tuple) or not asked:
            raise InputError(f"{name} is {asked!r}; give a list of filters")
        groups = [_some(each) for each in asked]
        return groups if name == "$and" else [AnyOf(*groups)]
    if name.startswith("$"):
        raise InputError(f"lookalike has no filter {name}; give $and, $or or a name")
    if not isinstance(asked, Mapping):
        return [{name: asked}]
    return [_condition(name, operator, value) for operator, value in asked.items()]


def _some(given: Any) -> Where:
    group = where_of(given)
    if not group:
        raise InputError("a filter of $and or $or is empty; give conditions in each")
    return group


def _condition(name: str, operator: str, value: Any) -> Condition:
    if operator == "$exists":
        return Condition(name, "!=" if value else "=", None)
    if operator not in _OPERATORS:
        known = ", ".join([*_OPERATORS, "$exists"])
        raise InputError(f"{name}: lookalike has no operator {operator}; it has {known}")
    is_several = isinstance(value, list | tuple | set | frozenset)
    return Condition(name, _OPERATORS[operator], tuple(value) if is_several else value)
