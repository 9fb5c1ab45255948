"""Conditions of SQLAlchemy as lookalike's, which its index can use."""

import operator
from decimal import Decimal
from typing import Any

from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import (
    BinaryExpression,
    BindParameter,
    BooleanClauseList,
    ColumnClause,
    False_,
    Grouping,
    Null,
    True_,
)

from lookalike import AnyOf, Condition, InputError

_OPERATORS = {
    operator.eq: "=",
    operator.ne: "!=",
    operator.lt: "<",
    operator.le: "<=",
    operator.gt: ">",
    operator.ge: ">=",
    operators.is_: "=",
    operators.is_not: "!=",
    operators.in_op: "in",
    operators.not_in_op: "not in",
}


def conditions_of(expression: Any, table: str) -> list[Condition | AnyOf]:
    """Return the conditions of an expression that must all hold.

    Args:
        expression: Comparisons of the table's columns with values, joined by and_ and or_.
        table: Name of the table.

    Raises:
        InputError: It is something else.
    """
    if isinstance(expression, Grouping):
        return conditions_of(expression.element, table)
    if isinstance(expression, BooleanClauseList):
        parts = [conditions_of(each, table) for each in expression.clauses]
        if expression.operator is operators.or_:
            return [AnyOf(*parts)]
        return [condition for part in parts for condition in part]
    if not isinstance(expression, BinaryExpression):
        raise _refusal(expression)
    column, asked = expression.left, _OPERATORS.get(expression.operator)
    is_ours = isinstance(column, ColumnClause) and getattr(column.table, "name", None) == table
    if asked is None or not is_ours:
        raise _refusal(expression)
    return [Condition(column.name, asked, _value(expression))]


def _value(expression: Any) -> Any:
    match expression.right:
        case BindParameter(effective_value=values) if isinstance(values, list | tuple | set):
            return tuple(map(_plain, values))
        case BindParameter(effective_value=value):
            return _plain(value)
        case True_():
            return True
        case False_():
            return False
        case Null():
            return None
    raise _refusal(expression)


def _plain(value: Any) -> Any:
    return float(value) if isinstance(value, Decimal) else value


def _refusal(expression: Any) -> InputError:
    return InputError(
        f"nearest(where=) takes comparisons of the table's own columns with values, not "
        f"{expression}: put other conditions into .where(), which chooses among the k nearest"
    )
