"""Conditions against what a collection knows: their SQL."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike import Condition, InputError
from lookalike.attributes.filters import clause, find, unknown_attribute
from lookalike.dialects import ATTRIBUTE_NAME, MODIFIED, PATH, Attribute, Statement, Table
from lookalike.dialects.mysql import MySQL

names = st.from_regex(ATTRIBUTE_NAME, fullmatch=True)


def rendered(text, *kinds, is_column=False):
    condition = Condition.parse(text)
    attribute = Attribute(condition.name, frozenset(kinds), is_column)
    found = MySQL().filter(Table("shop"), [clause(condition, attribute)])
    return found.sql, found.params


JSON = "JSON_VALUE(v.attributes, '$.\"a\"' RETURNING"


@pytest.mark.parametrize(
    ("text", "kinds", "sql", "params"),
    [
        ("a=x", ["text"], f"({JSON} CHAR(255)) = %s)", ("x",)),
        ("a!=5", ["number"], f"(NOT ({JSON} DOUBLE) = %s))", (5.0,)),
        ("a in (1, 2)", ["number"], f"({JSON} DOUBLE) IN (%s, %s))", (1.0, 2.0)),
        ("a=5", ["text"], f"({JSON} CHAR(255)) = %s)", ("5",)),
        ("a=true", ["boolean"], f"({JSON} CHAR(255)) = %s)", ("true",)),
        ("a:x", ["list"], "(%s MEMBER OF (JSON_EXTRACT(v.attributes, '$.\"a\"')))", ("x",)),
        (
            "a is missing",
            ["text"],
            "(COALESCE(JSON_TYPE(JSON_EXTRACT(v.attributes, '$.\"a\"')), 'NULL') = 'NULL')",
            (),
        ),
    ],
)
def test_values_are_bound_and_names_are_paths(text, kinds, sql, params):
    assert rendered(text, *kinds) == (sql, params)


def test_columns_are_quoted():
    assert rendered("unit price<5", "number", is_column=True) == ("(v.`unit price` < %s)", (5,))
    assert rendered("a~x", "text", is_column=True) == ("(LOCATE(%s, v.`a`) > 0)", ("x",))
    assert rendered("a is not missing", "text", is_column=True) == ("(v.`a` IS NOT NULL)", ())


def test_paths_are_those_that_are_stored(tmp_path, monkeypatch):
    (tmp_path / "in").mkdir()
    (tmp_path / "link").symlink_to("in")
    monkeypatch.chdir(tmp_path)
    found = clause(Condition("path", "in", ("a.jpg", "link/b.jpg", "/c.jpg")), PATH)
    stored = (str(tmp_path / "a.jpg"), str(tmp_path / "in" / "b.jpg"), "/c.jpg")
    assert [each.values for each in found.alternatives] == [stored]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("modified>yesterday", "modified>yesterday: modified is a time; 'yesterday' is not; write"),
        ("modified=2024-02-30", "'2024-02-30' is not"),
        ("modified=true", "'true' is not"),
        ("modified~2024", "modified is a time; ~ searches text only"),
        ("modified:2024", "modified is a time; write modified=..."),
    ],
)
def test_what_is_no_time_is_refused(text, message):
    with pytest.raises(InputError, match=message):
        clause(Condition.parse(text), MODIFIED)


def test_a_float_column_is_compared_with_what_it_keeps():
    attribute = Attribute("price", frozenset({"number"}), True, is_single=True)
    condition = Condition("price", "in", (19.99, 1e300, 2))
    assert MySQL().filter(Table("shop"), [clause(condition, attribute)]).params == (
        float(np.float32(19.99)),
        1e300,
        2.0,
    )


def test_numbers_that_are_too_large_are_texts_or_refused():
    assert Condition.parse("a<" + "9" * 400).value == "9" * 400
    assert Condition.parse("a<" + "9" * 5000).value == "9" * 5000
    with pytest.raises(InputError, match=r"a: cannot compare with 10+"):
        Condition("a", "<", 10**400)
    with pytest.raises(InputError, match="a is a number"):
        clause(Condition("a", "<", "9" * 400), Attribute("a", frozenset({"number"}), False))


@given(names, st.text())
def test_no_value_comes_into_the_sql(name, value):
    attribute = Attribute(name, frozenset({"text"}), False)
    found = MySQL().filter(Table("shop"), [clause(Condition(name, "=", value), attribute)])
    other = MySQL().filter(Table("shop"), [clause(Condition(name, "=", "other"), attribute)])
    assert found.sql == other.sql and found.params == (value,)
    assert set("'\"`\\%;").isdisjoint(name)
    assert str(Statement(found.sql, ("x",))).count("'x'") == 1


@pytest.mark.parametrize(
    "name", ["a`b", 'a"b', "a'b", "a\\b", "a%b", "a\nb", "", " a", "a ", "a" * 65]
)
def test_names_that_could_leave_their_quotes_are_refused(name):
    with pytest.raises(InputError, match="cannot be an attribute's name"):
        MySQL().filter(
            Table("shop"),
            [clause(Condition("a", "=", 1), Attribute(name, frozenset({"text"}), True))],
        )


def test_names_are_found_and_near_ones_named():
    known = [
        Attribute("Brand", frozenset({"text"}), True),
        Attribute("price", frozenset({"number", "text"}), False),
    ]
    assert find("brand", known) == known[0] and find("price", known) == known[1]
    assert find("Price", known) is None
    error = str(unknown_attribute("prize", known, "shop"))
    assert error == (
        "'shop' has no attribute 'prize' (did you mean 'price'?); "
        "it has Brand (text), price (number/text)"
    )
    assert "'shop' has no attribute 'x'; it has Brand" in str(unknown_attribute("x", known, "shop"))
