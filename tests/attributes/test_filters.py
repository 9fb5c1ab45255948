import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike import Condition, InputError
from lookalike.attributes.filters import clause, conditions, find, unknown_attribute
from lookalike.dialects import ATTRIBUTE_NAME, Attribute, Statement
from lookalike.dialects.mysql import MySQL

GOOD = {
    "brand=acme": ("brand", "=", "acme"),
    " brand = acme ": ("brand", "=", "acme"),
    "brand!=acme": ("brand", "!=", "acme"),
    "brand=Acme Shoes": ("brand", "=", "Acme Shoes"),
    'brand="Acme, Inc. (UK) <a=b>"': ("brand", "=", "Acme, Inc. (UK) <a=b>"),
    "brand='it''s'": ("brand", "=", "it's"),
    'brand="say ""hi"""': ("brand", "=", 'say "hi"'),
    "brand=Levi's": ("brand", "=", "Levi's"),
    'brand=""': ("brand", "=", ""),
    "brand=100%": ("brand", "=", "100%"),
    "brand=a:b": ("brand", "=", "a:b"),
    "größe=ß": ("größe", "=", "ß"),
    "unit price<50": ("unit price", "<", 50),
    "price<=49.5": ("price", "<=", 49.5),
    "price>-1": ("price", ">", -1),
    "price >= 1.50": ("price", ">=", "1.50"),
    "code=00123": ("code", "=", "00123"),
    'code="5"': ("code", "=", "5"),
    "n=1e5": ("n", "=", "1e5"),
    "n=nan": ("n", "=", "nan"),
    "n=1_000": ("n", "=", "1_000"),
    "sale=true": ("sale", "=", True),
    "sale=True": ("sale", "=", "True"),
    "tag:summer": ("tag", ":", "summer"),
    "url:http://x": ("url", ":", "http://x"),
    "name~sandal": ("name", "~", "sandal"),
    "category in (shoes, boots)": ("category", "in", ("shoes", "boots")),
    "category IN(shoes)": ("category", "in", ("shoes",)),
    "category  not  in ( 1 , 'a, b', true )": ("category", "not in", (1, "a, b", True)),
    "made in=China": ("made in", "=", "China"),
    "made in in (China)": ("made in", "in", ("China",)),
    '"is not" in (a)': ("is not", "in", ("a",)),
    "day=2024-06-01": ("day", "=", "2024-06-01"),
}
BAD = [
    *("", " ", "brand", "=acme", "brand=", "brand==acme", "price=<5", "price=>5", "price<>5"),
    *("brand=a,b", "brand=(a)", 'brand="a', "brand='a'b", 'brand=a"b', "brand=a~b"),
    *("category in", "category in ()", "category in (a", "category in (a,)", "category in (a b=c)"),
    *("category in (a) or 1=1", "category in (a)(b)", "categoryin (a)", "`brand`=a", "a;b=c"),
    *('a"b=c', "$.a=b", "-a=b", "a b =", "x" * 65 + "=1", "a = b\0, c"),
]


@pytest.mark.parametrize("text", GOOD)
def test_conditions_are_read(text):
    name, operator, value = GOOD[text]
    condition = Condition.parse(text)
    assert condition == Condition(name, operator, value)
    assert type(condition.value) is type(value)
    assert Condition.parse(str(condition)) == condition


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_condition_is_refused_in_one_line(text):
    with pytest.raises(InputError) as error:
        Condition.parse(text)
    assert "\n" not in str(error.value)


names = st.from_regex(ATTRIBUTE_NAME, fullmatch=True)
scalars = (
    st.text()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.booleans()
    | st.sampled_from(["1.50", "007", "true", "'", '"', "a b", " a", "a'", "x, y", "(", "5"])
)


@given(
    name=names, operator=st.sampled_from(["=", "!=", "<", "<=", ">", ">=", ":", "~"]), value=scalars
)
def test_whatever_is_written_is_read_again(name, operator, value):
    condition = Condition(name, operator, value)
    again = Condition.parse(str(condition))
    assert again == condition and type(again.value) is type(value)


@given(name=names, operator=st.sampled_from(["in", "not in"]), values=st.lists(scalars, min_size=1))
def test_lists_are_read_again(name, operator, values):
    condition = Condition(name, operator, tuple(values))
    assert Condition.parse(str(condition)) == condition


@pytest.mark.parametrize(
    ("where", "expected"),
    [
        (None, []),
        ([], []),
        ({}, []),
        ("a=1", ["a=1"]),
        (["a=1", Condition("b", "<", 2)], ["a=1", "b<2"]),
        (
            {"a": 1, "b": ["x", "y"], "c": ("<", 5), "d": (":", "t")},
            ["a=1", "b in (x, y)", "c<5", "d:t"],
        ),
        (
            {"a": ("not in", ["x"]), "b": ("!=", True), "c": {"z"}},
            ["a not in (x)", "b!=true", "c in (z)"],
        ),
        ({"a": np.int64(4), "b": ["x", np.float64(0.5)]}, ["a=4", "b in (x, 0.5)"]),
    ],
)
def test_mappings_and_texts_come_to_conditions(where, expected):
    assert list(map(str, conditions(where))) == expected


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ({"a": None}, "a: NoneType is not a value"),
        ({"a": []}, "give at least one value"),
        ({"a": ("<", [1, 2])}, "a <: give one value"),
        ({"a": ("in", "x")}, "a in: give several values"),
        ({"a": ("like", "x")}, "a: give .operator, value., such as"),
        ({"a": (1, 2, 3)}, "a: give .operator, value., such as"),
        ({"a": float("nan")}, "a: cannot compare with nan"),
        ({"a": "\ud800"}, "is not UTF-8"),
        ({"a`b": 1}, "'a`b' cannot be an attribute's name: use letters"),
        ({"": 1}, "'' cannot be an attribute's name"),
        ({5: 1}, "5 cannot be an attribute's name"),
        ([5], "cannot read the condition 5"),
        (5, "cannot read the condition 5"),
    ],
)
def test_what_cannot_be_asked_is_refused(where, message):
    with pytest.raises(InputError, match=message):
        conditions(where)


# SQL.


def rendered(text, *kinds, is_column=False):
    condition = Condition.parse(text)
    attribute = Attribute(condition.name, frozenset(kinds), is_column)
    return MySQL().filter([clause(condition, attribute)])


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
    ],
)
def test_values_are_bound_and_names_are_paths(text, kinds, sql, params):
    assert rendered(text, *kinds) == (sql, params)


def test_columns_are_quoted():
    assert rendered("unit price<5", "number", is_column=True) == ("(v.`unit price` < %s)", (5,))
    assert rendered("a~x", "text", is_column=True) == ("(LOCATE(%s, v.`a`) > 0)", ("x",))


def test_a_float_column_is_compared_with_what_it_keeps():
    attribute = Attribute("price", frozenset({"number"}), True, is_single=True)
    condition = Condition("price", "in", (19.99, 1e300, 2))
    (*_, params) = MySQL().filter([clause(condition, attribute)])
    assert params == (float(np.float32(19.99)), 1e300, 2.0)


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
    found = MySQL().filter([clause(Condition(name, "=", value), attribute)])
    other = MySQL().filter([clause(Condition(name, "=", "other"), attribute)])
    assert found.sql == other.sql and found.params == (value,)
    assert set("'\"`\\%;").isdisjoint(name)
    assert str(Statement(found.sql, ("x",))).count("'x'") == 1


@pytest.mark.parametrize(
    "name", ["a`b", 'a"b', "a'b", "a\\b", "a%b", "a\nb", "", " a", "a ", "a" * 65]
)
def test_names_that_could_leave_their_quotes_are_refused(name):
    with pytest.raises(InputError, match="cannot be an attribute's name"):
        MySQL().filter([clause(Condition("a", "=", 1), Attribute(name, frozenset({"text"}), True))])


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
