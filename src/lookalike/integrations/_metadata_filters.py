"""LlamaIndex's metadata filters as lookalike's conditions."""

from __future__ import annotations

from typing import Any

from llama_index.core.vector_stores.types import (
    FilterCondition,
    FilterOperator,
    MetadataFilter,
    MetadataFilters,
)

from lookalike import AnyOf, Condition, InputError

Test = Condition | AnyOf

_SAME = {
    FilterOperator.EQ: "=",
    FilterOperator.GT: ">",
    FilterOperator.GTE: ">=",
    FilterOperator.LT: "<",
    FilterOperator.LTE: "<=",
    FilterOperator.IN: "in",
    FilterOperator.TEXT_MATCH_INSENSITIVE: "~",
    FilterOperator.CONTAINS: ":",
}
_ALSO_WITHOUT = {FilterOperator.NE: "!=", FilterOperator.NIN: "not in"}
"""LlamaIndex lets nodes without the metadata pass these."""
_OPPOSITE = {
    "=": "!=",
    "!=": "=",
    ">": "<=",
    ">=": "<",
    "<": ">=",
    "<=": ">",
    "in": "not in",
    "not in": "in",
    "~": "!~",
}


def conditions_of(filters: MetadataFilters | None) -> tuple[Test, ...]:
    """Return conditions that must all hold.

    Raises InputError for an operator that lookalike does not have.
    """
    if filters is None or not filters.filters:
        return ()
    return _group(filters, is_negated=False)


def _group(filters: MetadataFilters, *, is_negated: bool) -> tuple[Test, ...]:
    """Return a group's conditions; NOT is for none of its filters."""
    condition = filters.condition or FilterCondition.AND
    negated = is_negated != (condition is FilterCondition.NOT)
    groups = [
        _group(each, is_negated=negated)
        if isinstance(each, MetadataFilters)
        else _one(each, is_negated=negated)
        for each in filters.filters
    ]
    if is_negated != (condition is FilterCondition.OR):
        return (AnyOf(*groups),)
    return tuple(test for group in groups for test in group)


def _one(asked: MetadataFilter, *, is_negated: bool) -> tuple[Test, ...]:
    name, operator, value = asked.key, asked.operator, asked.value
    if operator is FilterOperator.IS_EMPTY:
        if is_negated:
            return (Condition(name, "!=", None), Condition(name, "!=", ""))
        return (AnyOf(Condition(name, "=", None), Condition(name, "=", "")),)
    if value is None:
        raise InputError(f"{name}: None is not a value; use {FilterOperator.IS_EMPTY.value}")
    if operator in _ALSO_WITHOUT:
        return _compared(name, _ALSO_WITHOUT[operator], value, is_negated, also_without=True)
    if operator in _SAME:
        return _compared(name, _SAME[operator], value, is_negated, also_without=False)
    if operator in (FilterOperator.ANY, FilterOperator.ALL) and not is_negated:
        several = value if isinstance(value, list) else [value]
        tests = tuple(Condition(name, ":", each) for each in several)
        return tests if operator is FilterOperator.ALL else (AnyOf(*tests),)
    raise _unknown(operator, is_negated)


def _compared(
    name: str, operator: str, value: Any, is_negated: bool, *, also_without: bool
) -> tuple[Test, ...]:
    if is_negated:
        if operator not in _OPPOSITE:
            raise _unknown(FilterOperator.CONTAINS, is_negated)
        operator, also_without = _OPPOSITE[operator], not also_without
    test = Condition(name, operator, tuple(value) if isinstance(value, list) else value)
    return (AnyOf(test, Condition(name, "=", None)),) if also_without else (test,)


def _unknown(operator: FilterOperator, is_negated: bool) -> InputError:
    if is_negated:
        return InputError(f"lookalike cannot negate the filter {operator.value}")
    hint = f"; use {FilterOperator.TEXT_MATCH_INSENSITIVE.value}, which ignores letter case"
    return InputError(
        f"lookalike has no filter {operator.value}"
        + (hint if operator is FilterOperator.TEXT_MATCH else "")
    )
