"""Random filters: rows that match are those that Python says, on every way to search."""

import time
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lookalike import AnyOf, Condition
from lookalike.attributes.catalog import filter_of
from lookalike.attributes.conditions import parse
from tests.search.shops import QUERIES

pytestmark = pytest.mark.capability("filters")

DAY = 86_400
START = 1_704_067_200
"""2024-01-01 in UTC, in seconds."""

FIRST_DAYS = [f"2024-01-{day:02d}" for day in range(1, 32)]


class Asked(NamedTuple):
    """A filter as text, in Python, and whether a row passes."""

    text: str
    where: Any
    passes: Any


def number(row: dict[str, Any], name: str) -> float | None:
    value = row.get(name)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


ORDERS = {
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
}


def asked(name, operator, value, passes):
    """A condition, and the test of a value: a missing one passes none but `is missing`."""
    condition = Condition(name, operator, value)

    def test(row):
        return row.get(name) is not None and passes(row[name])

    return Asked(str(condition), condition, test)


def ordered(name, values, operators=tuple(ORDERS)):
    return st.builds(
        lambda operator, value: asked(
            name, operator, value, lambda it: ORDERS[operator](it, value)
        ),
        st.sampled_from(operators),
        values,
    )


def among(name, values):
    def build(several, is_negated):
        operator = "not in" if is_negated else "in"
        return asked(name, operator, tuple(several), lambda it: (it in several) != is_negated)

    return st.builds(build, st.lists(values, min_size=1, max_size=4), st.booleans())


def containing(name, values):
    def build(value, is_negated):
        operator = "!~" if is_negated else "~"
        return asked(name, operator, value, lambda it: (value.lower() in it.lower()) != is_negated)

    return st.builds(build, values, st.booleans())


def missing(name):
    def build(is_negated):
        condition = Condition(name, "!=" if is_negated else "=", None)
        return Asked(str(condition), condition, lambda row: (row.get(name) is None) != is_negated)

    return st.builds(build, st.booleans())


def days(operator, day):
    """A file's time, compared with a day in local time."""
    start = time.mktime(time.strptime(day, "%Y-%m-%d")) * 1e9
    end = start + DAY * 1e9
    tests = {
        "<": lambda it: it < start,
        "<=": lambda it: it < end,
        ">": lambda it: it >= end,
        ">=": lambda it: it >= start,
        "=": lambda it: start <= it < end,
        "!=": lambda it: not start <= it < end,
    }
    return asked("modified", operator, day, tests[operator])


def in_list(operator, values):
    if operator == ":":
        return asked("tags", ":", values[0], lambda it: values[0] in it)
    return asked(
        "tags", operator, tuple(values), lambda it: bool({*it} & {*values}) == (operator == "in")
    )


def of_mixed(operator, value):
    """`size` is a number, a text or a list: each is compared as what it is."""

    def passes(it):
        if isinstance(it, list):
            return (
                (str(value) in it)
                if operator == "in"
                else operator in ("!=", "not in") and (operator == "!=" or str(value) not in it)
            )
        is_equal = it == value or it == str(value)
        return is_equal == (operator in ("=", "in"))

    return asked("size", operator, (value,) if "in" in operator else value, passes)


KINDS = st.sampled_from([f"kind {i}" for i in range(20)] + ["none", "KIND 3"])
TAGS = st.lists(st.sampled_from(["summer", "new", "old"]), min_size=1, max_size=2)
PATHS = st.sampled_from([f"/shop/{'ab'[i % 2]}/Item {i}.jpg" for i in range(0, 600, 7)])
MISSING = ("note", "price", "tags", "path", "modified", "folder", "suffix", "size", "kind")
conditions = st.one_of(
    ordered("price", st.integers(0, 150) | st.floats(0, 150).map(lambda price: round(price, 2))),
    ordered("kind", KINDS),
    among("kind", KINDS),
    containing("kind", st.sampled_from(["IND 1", "3", "%", "x"])),
    ordered("sale", st.booleans(), ("=", "!=")),
    st.builds(in_list, st.sampled_from([":", "in", "not in"]), TAGS),
    containing("note", st.sampled_from(["ITEM 7", "100%", "'fine'", "x"])),
    *(missing(name) for name in MISSING),
    st.builds(of_mixed, st.sampled_from(["=", "!=", "in", "not in"]), st.integers(0, 9)),
    among("image_name", st.integers(0, 700).map(lambda i: f"v{i}")),
    ordered("image_name", st.sampled_from(["v3", "V3", "v400"])),
    containing("image_name", st.sampled_from(["V3", "9", "x"])),
    among("path", PATHS),
    ordered("path", PATHS),
    containing("path", st.sampled_from(["/A/", "item 1", ".jpg", "x"])),
    among("folder", st.sampled_from(["a", "b", "A", "shop"])),
    ordered("folder", st.sampled_from(["a", "b"])),
    containing("folder", st.sampled_from(["A", "x"])),
    among("suffix", st.sampled_from(["jpg", "png"])),
    st.builds(days, st.sampled_from(list(ORDERS)), st.sampled_from(FIRST_DAYS)),
)


def join(several, is_any):
    texts = [f"({each.text})" for each in several]
    wheres = [each.where for each in several]
    if is_any:
        return Asked(
            " or ".join(texts), AnyOf(*wheres), lambda row: any(e.passes(row) for e in several)
        )
    return Asked(" and ".join(texts), wheres, lambda row: all(e.passes(row) for e in several))


filters = st.recursive(
    conditions,
    lambda inner: st.builds(join, st.lists(inner, min_size=1, max_size=3), st.booleans()),
    max_leaves=6,
)


def fill(db, shop):
    """Give three rows of four a file, and values of several kinds."""
    for i, row in enumerate(shop.rows):
        row["image_name"] = row.pop("path")
        if i % 4:
            row["path"] = f"/shop/{'ab'[i % 2]}/Item {i}.jpg"
            row["folder"], row["suffix"] = "ab"[i % 2], "jpg"
            seconds = START + i * 31 * DAY // len(shop.rows)
            row["modified"] = (seconds - (seconds % DAY if i % 5 == 0 else 0)) * 10**9
        if i % 3:
            row["size"] = [i % 10, str(i % 10), [str(i % 10), "x"]][i % 9 // 3]
    with db.session():
        db.rows(
            "INSERT INTO shop_files (id, path, content_hash, size, mtime_ns) VALUES "
            + ", ".join(
                f"({row_id}, '{row['path']}', REPEAT('x', 32), 1, {row['modified']})"
                for row_id, row in zip(shop.ids, shop.rows, strict=True)
                if "path" in row
            )
        )
    shop.collection.attributes.set(
        [{"path": row["image_name"], "size": row["size"]} for row in shop.rows if "size" in row]
    )


def ids_of(matches):
    return sorted(match.id for match in matches)


QUIET = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow]


@pytest.mark.nightly
def test_exactly_the_rows_that_pass_are_found(engine, shop):
    fill(engine, shop)

    @settings(max_examples=50, deadline=None, suppress_health_check=QUIET)
    @given(filters)
    def check(asked):
        expected = [i for i, row in zip(shop.ids, shop.rows, strict=True) if asked.passes(row)]
        for where in (asked.text, asked.where):
            found = shop.collection.search(QUERIES[0], k=600, where=where)
            assert ids_of(found) == expected, asked.text
        assert parse(" and ".join(map(str, parse(asked.text)))) == parse(asked.text)

    check()


@pytest.mark.nightly
def test_the_nearest_of_the_rows_that_pass_are_found_through_the_index(db, large):
    fill(db, large)
    plans, recalls = set(), []

    @settings(max_examples=40, deadline=None, suppress_health_check=QUIET)
    @given(filters, st.sampled_from(range(len(QUERIES))))
    def check(asked, place):
        query = QUERIES[place]
        recalls.append(large.recall([query], asked.text, asked.passes))
        if any(map(asked.passes, large.rows)):
            plans.add(large.plan(query, asked.text))
            least = large.collection.search(query, where=asked.text, exact=True)
            # All cells, and all their rows compared exactly.
            all_rows = {"n_probes": 10_000, "oversampling": 1000}
            assert large.collection.search(query, where=asked.where, **all_rows) == least

    check()
    assert plans == {"filter first", "cells and codes"}
    assert np.mean([recall for recall in recalls if recall]) >= 0.99


def test_a_path_is_found_by_its_index(db, large):
    fill(db, large)
    table = large.collection._state.table
    for where in ("path=/shop/b/Item 5.jpg", "path in (/shop/b/Item 5.jpg, /shop/b/Item 7.jpg)"):
        statement = table.dialect.all_rows(table, filter_of(table, where))
        rows = db.rows(f"EXPLAIN FORMAT=TRADITIONAL {statement.sql}", statement.params)[1]
        assert all(row[4] in ("const", "range", "eq_ref") for row in rows), where
