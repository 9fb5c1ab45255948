"""Conditions: what a filter asks, in Python or as text.

brand=acme   brand!=acme   price<50   price>=10   category in (shoes, boots)
category not in (shoes, boots)   tags:summer   name~sandal   name!~sandal   brand="Acme, Inc."
price is missing   price is not missing   brand=acme or (brand=nordic and price<50)
"""

import math
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lookalike.attributes.files import plain
from lookalike.core.errors import InputError
from lookalike.dialects import ATTRIBUTE_NAME, NAME_RULE, is_utf8

Value = str | int | float | bool
Operator = str

OPERATORS = ("=", "!=", "<", "<=", ">", ">=", "in", "not in", ":", "~", "!~")
_LISTS = ("in", "not in")
_EQUALITY = ("=", "!=")
_MAX_NUMBER = sys.float_info.max
_MAX_DEPTH = 20

_QUOTED = r"\"(?:[^\"]|\"\")*\"|'(?:[^']|'')*'"
_JOINING = r"\s+(?i:and|or)(?=[\s(]|$)"
# Words, so that many spaces take no longer than as many letters: strangers may send them.
_BARE = (
    r"[^\s\"'(),=<>~][^\s\"(),=<>~]*"
    r"(?:\s+(?!(?i:and|or)(?:[\s(]|$))[^\s\"(),=<>~]+)*"
)
_VALUE = re.compile(rf"\s*({_QUOTED}|{_BARE})\s*")
_HEAD = re.compile(
    r"\s*(?P<name>\w[\w.-]*(?: +[\w.-]+)*?|\"[^\"]*\")\s*"
    r"(?P<operator>!=|!~|<=|>=|=|<|>|:|~|(?<=\s)(?i:not\s+in|in)(?=\s*\()"
    rf"|(?<=\s)(?i:is(?:\s+not)?\s+(?:missing|null))(?=\s*\)|\s*$|{_JOINING}))"
)
_SPACE = re.compile(r"\s*")
_OPEN, _CLOSE, _COMMA = re.compile(r"\s*\("), re.compile(r"\s*\)\s*"), re.compile(r",")
_AND, _OR = re.compile(r"\s*(?i:and)(?=[\s(])"), re.compile(r"\s*(?i:or)(?=[\s(])")
_KEYWORD = re.compile(r"(?i)(?:^|\s)(?:and|or|not|in|is)(?:\s|$)")
_HINT = (
    "write it as brand=acme, price<50, category in (shoes, boots), tags:summer, price is missing "
    'or name~"a b"; join several by and, or and parentheses; put a value that contains quotes, the '
    "words and, or, or any of , ( ) = < > ~ in double quotes"
)


@dataclass(frozen=True, slots=True)
class Condition:
    """One condition on an attribute: `Condition("price", "<", 50)`.

    `parse` reads a condition from text and `str` writes it. `AnyOf` joins conditions by "or".

    Attributes:
        name: The attribute, or image_name, path, modified, folder or suffix.
        operator: One of =, !=, <, <=, >, >=, in, not in, `:` (a list contains the value), `~` (a
            text contains the value, ignoring letter case) and `!~` (it does not).
        value: A text, number, bool, date or datetime; a tuple for in and not in. None with = means
            that the attribute is missing, with != that it is not.

    Raises:
        InputError: A part is not valid.
    """

    name: str
    operator: Operator
    value: Value | tuple[Value, ...] | None

    def __post_init__(self) -> None:
        if not isinstance(self.name, str) or not ATTRIBUTE_NAME.fullmatch(self.name):
            raise InputError(f"{self.name!r} cannot be an attribute's name: {NAME_RULE}")
        if self.operator not in OPERATORS:
            known = " ".join(OPERATORS)
            raise InputError(
                f"{self.name}: unknown operator {self.operator!r}; the operators are {known}"
            )
        given: Any = self.value
        value = tuple(map(plain, given)) if isinstance(given, tuple) else plain(given)
        object.__setattr__(self, "value", value)
        if self.is_about_presence:
            return
        if (self.operator in _LISTS) != isinstance(self.value, tuple):
            wanted = "several values" if self.operator in _LISTS else "one value"
            raise InputError(f"{self.name} {self.operator}: give {wanted}, not {self.value!r}")
        if self.value == ():
            raise InputError(f"{self.name} {self.operator} (): give at least one value")
        for value in self.values or (None,):
            _check_value(self.name, value)

    @property
    def values(self) -> tuple[Value, ...]:
        """Return the values as a tuple; empty for None."""
        if self.value is None:
            return ()
        return self.value if isinstance(self.value, tuple) else (self.value,)

    @property
    def is_about_presence(self) -> bool:
        """Whether it asks if the attribute is missing, or is not."""
        return self.value is None and self.operator in _EQUALITY

    @classmethod
    def parse(cls, text: str) -> "Condition":
        """Parse one condition. Raises InputError."""
        tests = parse(text)
        if len(tests) == 1 and isinstance(tests[0], Condition):
            return tests[0]
        raise InputError(f"{text!r} is more than one condition")

    def __str__(self) -> str:
        name = f'"{self.name}"' if _KEYWORD.search(self.name) else self.name
        if self.is_about_presence:
            return f"{name} is {'missing' if self.operator == '=' else 'not missing'}"
        if self.operator in _LISTS:
            return f"{name} {self.operator} ({', '.join(map(_write, self.values))})"
        return f"{name}{self.operator}{_write(self.values[0])}"


@dataclass(frozen=True, init=False, repr=False)
class AnyOf:
    """Filters of which at least one must hold: `AnyOf({"price": ("<", 50)}, "sale=true")`.

    Attributes:
        alternatives: The conditions of each filter, which must all hold.

    Raises:
        InputError: There is no filter, one is empty or not valid, or they are nested too deeply.

    Example:
        >>> str(AnyOf({"brand": "acme", "price": ("<", 50)}, "sale=true"))
        '(brand=acme and price<50 or sale=true)'
    """

    alternatives: "tuple[tuple[Condition | AnyOf, ...], ...]"

    def __init__(self, *filters: "Where") -> None:
        alternatives = tuple(conditions(each) for each in filters)
        if not all(alternatives) or not alternatives:
            raise InputError("a filter of AnyOf is empty: give at least one condition in each")
        object.__setattr__(self, "alternatives", alternatives)
        if self.depth > _MAX_DEPTH:
            raise _too_deep()

    @property
    def depth(self) -> int:
        """How many AnyOf are nested in one another."""
        inner = (test for group in self.alternatives for test in group)
        return 1 + max((test.depth for test in inner if isinstance(test, AnyOf)), default=0)

    def __str__(self) -> str:
        groups = (" and ".join(map(str, group)) for group in self.alternatives)
        return f"({' or '.join(groups)})"

    def __repr__(self) -> str:
        return f"AnyOf({', '.join(repr(group) for group in self.alternatives)})"


Test = Condition | AnyOf
Where = Mapping[str, Any] | Sequence[Any] | str | Condition | AnyOf
"""Conditions that must all hold: as text, a mapping of names to values, or a list of such filters.

    {"brand": "acme", "price": ("<", 50), "category": ["shoes", "boots"], "tags": (":", "summer")}
    "brand=acme or price<50"
"""


def conditions(where: Where | None, *, depth: int = 0) -> tuple[Test, ...]:
    """Return the conditions that must all hold. Raises InputError."""
    if depth > _MAX_DEPTH:
        raise _too_deep()
    if where is None and not depth:
        return ()
    if isinstance(where, Condition | AnyOf):
        return (where,)
    if isinstance(where, Mapping):
        return tuple(_asked(name, asked) for name, asked in where.items())
    if isinstance(where, list | tuple):
        return tuple(test for each in where for test in conditions(each, depth=depth + 1))
    return parse(where)


def _too_deep() -> InputError:
    return InputError(f"a filter is nested more than {_MAX_DEPTH} times: make it simpler")


def _asked(name: str, asked: Any) -> Condition:
    match plain(asked):
        case (str(operator), value) if isinstance(asked, tuple) and operator in OPERATORS:
            is_several = isinstance(value, list | tuple | set | frozenset)
            return Condition(name, operator, tuple(value) if is_several else value)
        case tuple():
            raise InputError(f'{name}: give (operator, value), such as ("<", 50), not {asked!r}')
        case (list() | set() | frozenset()) as several:
            return Condition(name, "in", tuple(several))
        case value:
            return Condition(name, "=", value)


def _check_value(name: str, value: object) -> None:
    if value is None:
        raise InputError(f"{name}: None is not a value; alone, it means that {name} is missing")
    if not isinstance(value, str | int | float):
        kind = type(value).__name__
        raise InputError(f"{name}: {kind} is not a value; give text, a number, true or false")
    if isinstance(value, int | float) and not -_MAX_NUMBER <= value <= _MAX_NUMBER:
        raise InputError(f"{name}: cannot compare with {str(value)[:40]}; give a finite number")
    if isinstance(value, str) and not is_utf8(value):
        raise InputError(f"{name}: {value!r} is not UTF-8")


# Text. `and` binds its conditions closer than `or`.


def parse(text: object) -> tuple[Test, ...]:
    """Parse conditions that must all hold. Raises InputError."""
    if not isinstance(text, str):
        raise InputError(f"cannot read the condition {text!r}: {_HINT}")
    return _Reader(text).read()


class _Reader:
    """Reads a filter from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._place = 0

    def read(self) -> tuple[Test, ...]:
        tests = self._any(0)
        if self._place < len(self._text):
            raise self._error()
        return tests

    def _take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        found = pattern.match(self._text, self._place)
        if found:
            self._place = found.end()
        return found

    def _any(self, depth: int) -> tuple[Test, ...]:
        groups = [self._all(depth)]
        while self._take(_OR):
            groups.append(self._all(depth))
        return groups[0] if len(groups) == 1 else (AnyOf(*groups),)

    def _all(self, depth: int) -> tuple[Test, ...]:
        tests = self._one(depth)
        while self._take(_AND):
            tests += self._one(depth)
        return tests

    def _one(self, depth: int) -> tuple[Test, ...]:
        if not self._take(_OPEN):
            return (self._condition(),)
        if depth == _MAX_DEPTH:
            raise _too_deep()
        tests = self._any(depth + 1)
        if not self._take(_CLOSE):
            raise self._error()
        return tests

    def _condition(self) -> Condition:
        head = self._take(_HEAD)
        if not head:
            raise self._error()
        name, operator = head["name"].strip('"'), " ".join(head["operator"].lower().split())
        if operator.startswith("is "):
            self._take(_SPACE)
            return Condition(name, "!=" if " not " in operator else "=", None)
        if operator in _LISTS:
            return Condition(name, operator, self._list())
        value = self._take(_VALUE)
        if not value:
            is_end = not self._text[self._place :].strip()
            raise self._error(f"{name}{operator} has no value" if is_end else "")
        return Condition(name, operator, _read(value[1]))

    def _list(self) -> tuple[Value, ...]:
        self._take(_OPEN)
        values: list[Value] = []
        while value := self._take(_VALUE):
            values.append(_read(value[1]))
            if self._take(_CLOSE):
                return tuple(values)
            if not self._take(_COMMA):
                break
        raise self._error(f"cannot read the list of {self._text!r}")

    def _error(self, problem: str = "") -> InputError:
        rest = self._text[self._place :].strip()
        part = f"{rest!r} of " if rest and rest != self._text.strip() else ""
        return InputError(
            f"{problem or f'cannot read {part}the condition {self._text!r}'}: {_HINT}"
        )


def _read(text: str) -> Value:
    """Parse a value: quoted means text; otherwise a number, true or false if it looks like one."""
    if text[0] in "\"'":
        return text[1:-1].replace(text[0] * 2, text[0])
    text = text.rstrip()
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


def number_of(value: Value) -> int | float | None:
    """Return a value as a number, None if it is none."""
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        number = _converted(int, value)
        return _converted(float, value) if number is None else number
    return value
