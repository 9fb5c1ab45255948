import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike.core.errors import InputError
from lookalike.dialects import (
    Dialect,
    Statement,
    Table,
    generation_comment,
    literal,
    quote_name,
)


@pytest.mark.parametrize("name", ["a", "image_embeddings", "_x9", "select", "a" * 48])
def test_names_are_quoted(name):
    assert quote_name(name) == f"`{name}`"


@pytest.mark.parametrize("name", ["", "9a", "a-b", "a`b", "a b", "a" * 49, "a;DROP TABLE x", "é"])
def test_names_that_are_no_identifiers_are_refused(name):
    with pytest.raises(InputError, match=re.escape(repr(name))):
        quote_name(name)


def test_no_method_puts_a_value_into_its_sql():
    statement = Dialect().ids_by_name(Table("t"), "x'); DROP TABLE t; -- ")
    assert "DROP" not in statement.sql and len(statement.params) == 2


def test_a_statement_is_written_out_with_its_values():
    statement = Statement("SELECT %s, %s, %s, %s", ("it's", b"\x01\xff", 1.5, None))
    assert str(statement) == "SELECT 'it''s', x'01ff', 1.5e0, NULL"
    assert str(Statement("SELECT 'a%b'")) == "SELECT 'a%b'"


@given(st.text(alphabet=st.characters(codec="utf-8")))
def test_a_string_literal_ends_where_it_should(text):
    quoted = literal(text)
    inside = quoted[1:-1]
    assert quoted[0] == quoted[-1] == "'"
    # Nothing but pairs: after them no quote and no backslash is left.
    left = re.sub(r"\\.|''", "", inside, flags=re.S)
    assert "'" not in left and "\\" not in left and "\n" not in inside


def test_the_comment_that_marks_an_index_as_lookalikes_own():
    assert generation_comment("photos", 3) == "lookalike: index of photos, generation 3"
