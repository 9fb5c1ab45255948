"""Filters: parse, print and check conditions on images' attributes.

brand=acme   brand!=acme   price<50   price>=10   category in (shoes, boots)
category not in (shoes, boots)   tags:summer   name~sandal   brand="Acme, Inc."
"""

import difflib
import math
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lookalike.core.errors import InputError
from lookalike.dialects import (
    ATTRIBUTE_NAME,
    NAME_RULE,
    Attribute,
    Clause,
    Comparison,
    Kind,
    is_utf8,
)

Value = str | int | float | bool
Operator = str

OPERATORS = ("=", "!=", "<", "<=", ">", ">=", "in", "not in", ":", "~")
_LISTS = ("in", "not in")
_MAX_NUMBER = sys.float_info.max
_ORDERS = ("<", "<=", ">", ">=")

_QUOTED = r"\"(?:[^\"]|\"\")*\"|'(?:[^']|'')*'"
_BARE = r"[^\s\"'(),=<>~](?:[^\"(),=<>~]*[^\s\"(),=<>~])?"
_VALUE = re.compile(rf"\s*({_QUOTED}|{_BARE})\s*")
_CONDITION = re.compile(
    r"\s*(?P<name>\w[\w .-]*?|\"[^\"]*\")\s*"
    r"(?P<operator>!=|<=|>=|=|<|>|:|~|(?<=\s)(?i:not\s+in|in)(?=\s*\())\s*(?P<rest>.*)",
    re.DOTALL,
)
_HINT = (
    'write it as brand=acme, price<50, category in (shoes, boots), tags:summer or name~"a b"; '
    "put a value that contains quotes or any of , ( ) = < > ~ in double quotes"
)
_WORDS: dict[Kind, str] = {
    "text": "text",
    "number": "a number",
    "boolean": "true or false",
    "list": "a list",
}


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition on an attribute: `Condition("price", "<", 50)`.

    `parse` reads a condition from text and `str` writes it.

    Attributes:
        name: The attribute.
        operator: One of =, !=, <, <=, >, >=, in, not in, `:` (a list contains the value) and `~` (a
            text contains the value, ignoring letter case).
        value: A text, number or bool; a tuple for in and not in.

    Raises:
        InputError: A part is not valid.
    """

    name: str
    operator: Operator
    value: Value | tuple[Value, ...]

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not ATTRIBUTE_NAME.fullmatch(self.name):
            raise InputError(f"{self.name!r} cannot be an attribute's name: {NAME_RULE}")
        if self.operator not in OPERATORS:
            known = " ".join(OPERATORS)
            raise InputError(
                f"{self.name}: unknown operator {self.operator!r}; the operators are {known}"
            )
        if (self.operator in _LISTS) != isinstance(self.value, tuple):
            wanted = "several values" if self.operator in _LISTS else "one value"
            raise InputError(f"{self.name} {self.operator}: give {wanted}, not {self.value!r}")
        if not self.values:
            raise InputError(f"{self.name} {self.operator} (): give at least one value")
        for value in self.values:
            _check_value(self.name, value)

    @property
    def values(self) -> tuple[Value, ...]:
        """Return the values as a tuple."""
        return self.value if isinstance(self.value, tuple) else (self.value,)

    @classmethod
    def parse(cls, text: str) -> "Condition":
        """Parse a condition. Raises InputError."""
        found = _CONDITION.fullmatch(text) if isinstance(text, str) else None
        if not found:
            raise InputError(f"cannot read the condition {text!r}: {_HINT}")
        name, rest = found["name"].strip('"'), found["rest"]
        operator = " ".join(found["operator"].lower().split())
        if operator in _LISTS:
            return cls(name, operator, _read_list(text, rest))
        value = _VALUE.fullmatch(rest)
        if not value:
            problem = f"{name}{operator} has no value" if not rest else f"cannot read {text!r}"
            raise InputError(f"{problem}: {_HINT}")
        return cls(name, operator, _read(value[1]))

    def __str__(self) -> str:
        if self.operator in _LISTS:
            name = f'"{self.name}"' if self.name.lower().endswith(" not") else self.name
            return f"{name} {self.operator} ({', '.join(map(_write, self.values))})"
        return f"{self.name}{self.operator}{_write(self.values[0])}"


Where = Mapping[str, Any] | Sequence[str | Condition] | str | Condition
"""Conditions that must all hold: one or several, as text, or a mapping of names to values.

    {"brand": "acme", "price": ("<", 50), "category": ["shoes", "boots"], "tags": (":", "summer")}
"""


def conditions(where: Where | None) -> tuple[Condition, ...]:
    """Return the conditions as a tuple. Raises InputError."""
    if where is None:
        return ()
    if isinstance(where, Mapping):
        return tuple(_asked(name, asked) for name, asked in where.items())
    several: Sequence[Any] = where if isinstance(where, list | tuple) else [where]
    return tuple(each if isinstance(each, Condition) else Condition.parse(each) for each in several)


def _scalar(value: Any) -> Any:
    """Convert numpy's numbers to Python's."""
    return value.item() if hasattr(value, "item") else value


def _asked(name: str, asked: Any) -> Condition:
    match asked:
        case (str(operator), value) if isinstance(asked, tuple) and operator in OPERATORS:
            is_several = isinstance(value, list | tuple | set | frozenset)
            return Condition(
                name, operator, tuple(map(_scalar, value)) if is_several else _scalar(value)
            )
        case tuple():
            raise InputError(f'{name}: give (operator, value), such as ("<", 50), not {asked!r}')
        case list() | set() | frozenset():
            return Condition(name, "in", tuple(map(_scalar, asked)))
        case _:
            return Condition(name, "=", _scalar(asked))


def _check_value(name: str, value: object) -> None:
    if not isinstance(value, str | int | float):
        kind = type(value).__name__
        raise InputError(f"{name}: {kind} is not a value; give text, a number, true or false")
    if isinstance(value, int | float) and not -_MAX_NUMBER <= value <= _MAX_NUMBER:
        raise InputError(f"{name}: cannot compare with {str(value)[:40]}; give a finite number")
    if isinstance(value, str) and not is_utf8(value):
        raise InputError(f"{name}: {value!r} is not UTF-8")


def _read_list(text: str, rest: str) -> tuple[Value, ...]:
    values: list[Value] = []
    position = 1
    while found := _VALUE.match(rest, position):
        values.append(_read(found[1]))
        position = found.end()
        if rest[position : position + 1] == ")" and not rest[position + 1 :].strip():
            return tuple(values)
        if rest[position : position + 1] != ",":
            break
        position += 1
    raise InputError(f"cannot read the list of {text!r}: {_HINT}")


def _read(text: str) -> Value:
    """Parse a value: quoted means text; otherwise a number, true or false if it looks like one."""
    if text[0] in "\"'":
        return text[1:-1].replace(text[0] * 2, text[0])
    if text in ("true", "false"):
        return text == "true"
    # Only numbers spelled as Python spells them: 00123 and 1.50 may be codes. They are compared
    # as numbers if the attribute is a number.
    for kind in (int, float):
        number = _converted(kind, text)
        if number is not None and str(number) == text:
            return number
    return text


def _write(value: Value) -> str:
    if not isinstance(value, str):
        return text_of(value)
    is_plain = _VALUE.fullmatch(value) and value[0] not in "\"'" and value == value.strip()
    if is_plain and isinstance(_read(value), str):
        return value
    doubled = value.replace('"', '""')
    return f'"{doubled}"'


def _converted(kind: type[int] | type[float], text: str) -> int | float | None:
    try:
        number = kind(text)
        return number if "_" not in text and math.isfinite(number) else None
    except (ValueError, OverflowError):  # not a number, or too large
        return None


def text_of(value: Value) -> str:
    """Return a value as a text attribute stores it."""
    return str(value).lower() if isinstance(value, bool) else str(value)


def _number_of(value: Value) -> int | float | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        number = _converted(int, value)
        return _converted(float, value) if number is None else number
    return value


# Conditions against a collection's attributes.


def find(name: str, known: Iterable[Attribute]) -> Attribute | None:
    """Return the attribute with a name; column names ignore letter case."""
    exact = {attribute.name: attribute for attribute in known}
    folded = {a.name.casefold(): a for a in exact.values() if a.is_column}
    return exact.get(name) or folded.get(name.casefold())


def unknown_attribute(name: str, known: Sequence[Attribute], table: str) -> InputError:
    """Return the error for an unknown attribute; it lists the known ones."""
    if not known:
        return InputError(
            f"{table!r} has no attributes to filter by: add some with "
            f"lookalike add --attributes FILE --collection {table}"
        )
    names = {attribute.name.casefold(): attribute.name for attribute in known}
    near = difflib.get_close_matches(name.casefold(), names, n=1)
    meant = f" (did you mean {names[near[0]]!r}?)" if near else ""
    all_ = ", ".join(f"{a.name} ({'/'.join(sorted(a.kinds))})" for a in sorted(known))
    return InputError(f"{table!r} has no attribute {name!r}{meant}; it has {all_}")


def clause(condition: Condition, attribute: Attribute) -> Clause:
    """Translate a condition into comparisons, one per kind of value.

    Raises InputError for conditions that do not fit the attribute, such as price<cheap.
    """
    kinds = attribute.kinds
    if condition.operator == ":":
        if "list" not in kinds:
            raise _unfit(condition, attribute, f"write {condition.name}=...")
        found = [Comparison(attribute, "list", ":", _texts(condition))]
    elif condition.operator == "~":
        if "text" not in kinds:
            raise _unfit(condition, attribute, "~ searches text only")
        found = [Comparison(attribute, "text", "~", _texts(condition))]
    elif condition.operator in _ORDERS:
        found = [_order(condition, attribute)]
    else:
        found = _equal(condition, attribute)
    return Clause(tuple(found), condition.operator in ("!=", "not in"))


def _texts(condition: Condition) -> tuple[str, ...]:
    return tuple(text_of(value) for value in condition.values)


def _order(condition: Condition, attribute: Attribute) -> Comparison:
    (value,) = condition.values
    number = _number_of(value)
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
    if kinds == {"list"}:
        raise _unfit(condition, attribute, f"to find a value in the list, write {name}:...")
    found = []
    as_truth = attribute.is_column and "boolean" in kinds
    numbers = [
        int(value) if isinstance(value, bool) and as_truth else _number_of(value)
        for value in condition.values
    ]
    fitting = tuple(number for number in numbers if number is not None)
    if "number" in kinds and fitting:
        found.append(Comparison(attribute, "number", "in", fitting))
    if "text" in kinds or ("boolean" in kinds and not attribute.is_column):
        found.append(Comparison(attribute, "text", "in", _texts(condition)))
    strange = [
        value
        for value, number in zip(condition.values, numbers, strict=True)
        if "text" not in kinds
        and not ("number" in kinds and number is not None)
        and not ("boolean" in kinds and isinstance(value, bool))
    ]
    if strange:
        raise _unfit(condition, attribute, f"{text_of(strange[0])!r} is not")
    return found


def _unfit(condition: Condition, attribute: Attribute, remedy: str) -> InputError:
    what = " or ".join(_WORDS[kind] for kind in sorted(attribute.kinds))
    return InputError(f"{condition}: {attribute.name} is {what}; {remedy}")
