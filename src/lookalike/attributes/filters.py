"""Filters: conditions checked against what a collection knows of its images."""

import difflib
from collections.abc import Callable, Iterable, Iterator, Sequence

from lookalike.attributes.conditions import AnyOf, Condition, Test, Value, number_of, text_of
from lookalike.attributes.times import period, text_period
from lookalike.core.errors import InputError
from lookalike.core.facts import TAKEN_AT
from lookalike.core.paths import absolute
from lookalike.dialects import PATH, SUFFIX, AnyClause, Attribute, Clause, Comparison, Kind

_ORDERS = ("<", "<=", ">", ">=")
_NEGATED = ("!=", "not in", "!~")
_WRITE_TIME = "write 2024, 2024-06, 2024-06-01 or 2024-06-01 12:30"
_WORDS: dict[Kind, str] = {
    "text": "text",
    "number": "a number",
    "boolean": "true or false",
    "list": "a list",
    "time": "a time",
}


def find(name: str, known: Iterable[Attribute]) -> Attribute | None:
    """Return the attribute with a name; column names ignore letter case."""
    exact = {attribute.name: attribute for attribute in known}
    folded = {a.name.casefold(): a for a in exact.values() if a.is_column}
    return exact.get(name) or folded.get(name.casefold())


def unknown_attribute(name: str, known: Sequence[Attribute], table: str) -> InputError:
    """Return the error for an unknown attribute; it names the nearest and lists the known ones."""
    names = {attribute.name.casefold(): attribute.name for attribute in known}
    near = difflib.get_close_matches(name.casefold(), names, n=1)
    if not near and all(attribute.is_built_in for attribute in known):
        return InputError(
            f"{table!r} has no attributes to filter by: add some with "
            f"lookalike add --attributes FILE --collection {table}"
        )
    meant = f" (did you mean {names[near[0]]!r}?)" if near else ""
    shown = sorted(known, key=lambda attribute: (attribute.is_built_in, attribute.name))
    all_ = ", ".join(f"{a.name} ({'/'.join(sorted(a.kinds))})" for a in shown)
    return InputError(f"{table!r} has no attribute {name!r}{meant}; it has {all_}")


def names_of(tests: Iterable[Test]) -> Iterator[str]:
    """Yield the name of each condition's attribute."""
    for test in tests:
        if isinstance(test, AnyOf):
            for group in test.alternatives:
                yield from names_of(group)
        else:
            yield test.name


def clauses_of(
    tests: Iterable[Test], attribute_of: Callable[[str], Attribute]
) -> tuple[Clause | AnyClause, ...]:
    """Translate conditions that must all hold; attribute_of: returns an attribute by name."""
    return tuple(
        AnyClause(tuple(clauses_of(group, attribute_of) for group in test.alternatives))
        if isinstance(test, AnyOf)
        else clause(test, attribute_of(test.name))
        for test in tests
    )


def clause(condition: Condition, attribute: Attribute) -> Clause:
    """Translate a condition into comparisons, one per kind of value.

    Raises InputError for conditions that do not fit the attribute, such as price<cheap.
    """
    operator, kinds = condition.operator, attribute.kinds
    if condition.is_about_presence:
        found = [Comparison(attribute, min(kinds), "missing", ())]
    elif operator == ":":
        if "list" not in kinds:
            raise _unfit(condition, attribute, f"write {condition.name}=...")
        found = _holding(condition, attribute)
    elif operator in ("~", "!~"):
        if "text" not in kinds:
            raise _unfit(condition, attribute, f"{operator} searches text only")
        found = [Comparison(attribute, "text", "~", _texts(condition))]
    elif "time" in kinds:
        found = [_at_time(condition, attribute, value) for value in condition.values]
    elif attribute.name == TAKEN_AT and "text" in kinds and not attribute.is_column:
        found = [_at_written_time(condition, attribute, value) for value in condition.values]
    elif operator in _ORDERS:
        found = [_order(condition, attribute)]
    else:
        found = _equal(condition, attribute)
    return Clause(tuple(found), operator in _NEGATED)


def _texts(condition: Condition) -> tuple[str, ...]:
    return tuple(text_of(value) for value in condition.values)


def _holding(condition: Condition, attribute: Attribute) -> list[Comparison]:
    """Return the comparisons of which one holds if the list has one of the values."""
    return [Comparison(attribute, "list", ":", (text,)) for text in _texts(condition)]


def _at_time(condition: Condition, attribute: Attribute, value: Value) -> Comparison:
    """Compare with a period of time: a day, for instance, is later than a time if its start is."""
    found = None if isinstance(value, bool) else period(str(value))
    if found is None:
        raise _unfit(condition, attribute, f"{text_of(value)!r} is not; {_WRITE_TIME}")
    return _during(condition, attribute, "time", found)


def _at_written_time(condition: Condition, attribute: Attribute, value: Value) -> Comparison:
    """Compare texts such as 2024-06-01T12:30:05, by the clock of the place, with a period."""
    found = None if isinstance(value, bool) else text_period(str(value))
    if found is None:
        raise InputError(
            f"{condition}: {attribute.name} is a time; {text_of(value)!r} is not one without a "
            f"zone; {_WRITE_TIME}"
        )
    return _during(condition, attribute, "text", found)


def _during(
    condition: Condition,
    attribute: Attribute,
    kind: Kind,
    period: tuple[int, int] | tuple[str, str],
) -> Comparison:
    start, end = period
    match condition.operator:
        case "<" | ">=":
            return Comparison(attribute, kind, condition.operator, (start,))
        case "<=":
            return Comparison(attribute, kind, "<", (end,))
        case ">":
            return Comparison(attribute, kind, ">=", (end,))
        case _:
            return Comparison(attribute, kind, "within", (start, end))


def _order(condition: Condition, attribute: Attribute) -> Comparison:
    (value,) = condition.values
    number = number_of(value)
    if "number" in attribute.kinds and number is not None:
        return Comparison(attribute, "number", condition.operator, (number,))
    if "text" in attribute.kinds and isinstance(value, str):
        return Comparison(attribute, "text", condition.operator, (value,))
    if "text" in attribute.kinds:
        quoted = f'{condition.name}{condition.operator}"{text_of(value)}"'
        raise _unfit(condition, attribute, f"to compare letter by letter, write {quoted}")
    if "number" in attribute.kinds:
        raise _unfit(condition, attribute, f"{text_of(value)!r} is not a number")
    raise _unfit(condition, attribute, f"{condition.operator} compares numbers and texts")


def _equal(condition: Condition, attribute: Attribute) -> list[Comparison]:
    name, kinds = condition.name, attribute.kinds
    is_in = condition.operator in ("in", "not in")
    found = _holding(condition, attribute) if is_in and "list" in kinds else []
    if kinds == {"list"}:
        if not is_in:
            raise _unfit(condition, attribute, f"to find a value in the list, write {name}:...")
        return found
    as_truth = attribute.is_column and "boolean" in kinds
    numbers = [
        int(value) if isinstance(value, bool) and as_truth else number_of(value)
        for value in condition.values
    ]
    fitting = tuple(number for number in numbers if number is not None)
    if "number" in kinds and fitting:
        found.append(Comparison(attribute, "number", "in", fitting))
    if "text" in kinds or ("boolean" in kinds and not attribute.is_column):
        texts = _texts(condition)
        if attribute == PATH:
            texts = tuple(absolute(text) for text in texts)
        elif attribute == SUFFIX:
            texts = tuple(text.lower().removeprefix(".") for text in texts)
        found.append(Comparison(attribute, "text", "in", texts))
    strange = [
        value
        for value, number in zip(condition.values, numbers, strict=True)
        if not kinds & {"text", "list"}
        and not ("number" in kinds and number is not None)
        and not ("boolean" in kinds and isinstance(value, bool))
    ]
    if strange:
        raise _unfit(condition, attribute, f"{text_of(strange[0])!r} is not")
    return found


def _unfit(condition: Condition, attribute: Attribute, remedy: str) -> InputError:
    what = " or ".join(_WORDS[kind] for kind in sorted(attribute.kinds))
    return InputError(f"{condition}: {attribute.name} is {what}; {remedy}")
