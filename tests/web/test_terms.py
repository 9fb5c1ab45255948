"""The URL of a search: what it holds, and that it holds everything."""

from urllib.parse import parse_qsl, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lookalike import AnyOf, Condition, Image, InputError, StoredImage, Text
from lookalike.web.views.terms import Search, Term


class Parameters:
    """The parameters of a URL, as the framework gives them."""

    def __init__(self, query):
        self._items = parse_qsl(query, keep_blank_values=True)

    def multi_items(self):
        return self._items


def read(query):
    return Search.of(Parameters(query))


WORDS = st.text("aZ0 \u00e9\u65e5\U0001f431+-&=?#%:;*,./~'\"<>[]", min_size=1, max_size=12)
WORDS = WORDS.map(str.strip).filter(bool)
VALUES = WORDS
TERMS = st.one_of(
    st.builds(
        Term, st.just("id"), st.integers(0, 2**63 - 1).map(str), st.sampled_from([1.0, -0.5, 2])
    ),
    st.builds(Term, st.just("text"), WORDS, st.sampled_from([1.0, -1.0, 0.25])),
    st.builds(Term, st.just("image"), st.integers(0, 2**256 - 1).map("{:064x}".format)),
)


@given(
    st.builds(
        Search,
        words=WORDS | st.just(""),
        terms=st.lists(TERMS, max_size=4).map(tuple),
        filters=st.dictionaries(
            st.sampled_from(["brand", "tags", "a b"]),
            st.lists(VALUES, min_size=1, max_size=3).map(tuple),
        ),
        folders=st.lists(VALUES, max_size=2, unique=True).map(tuple),
        since=st.sampled_from(["", "2024-06-01"]),
        least=st.sampled_from([None, 0.0, 0.25, -1.0]),
        order=st.sampled_from(["", "-date", "name"]),
    )
)
def test_the_url_holds_the_whole_state(search):
    assert read(urlsplit(search.url()).query) == search


def test_terms_become_the_query_of_the_library():
    asked = "q=red+shoe&t=-0.5*id:7&t=2*image:" + "ab" * 32 + "&t=url:https://example.org/a.jpg"
    query = read(asked).query({"ab" * 32: "pixels"}.__getitem__, "image at {}".format)
    (one, words), (less, stored), (two, upload), (_, url) = query.weighted
    assert (one, words) == (1.0, Text("red shoe"))
    assert (less, stored) == (-0.5, StoredImage(7))
    assert (two, upload.source) == (2.0, "pixels")
    assert isinstance(url, Image)
    assert url.source == "image at https://example.org/a.jpg"


def test_filters_become_conditions():
    search = read(
        "f.brand=acme&f.brand=nordic&f.price=10..50&f.sale=true&folder=trip&kind=jpg"
        "&from=2024-01-01&to=2024-12-31"
    )
    assert search.where() == [
        Condition("brand", "in", ("acme", "nordic")),
        Condition("price", ">=", "10"),
        Condition("price", "<=", "50"),
        Condition("sale", "in", (True,)),
        Condition("folder", "in", ("trip",)),
        Condition("suffix", "in", ("jpg",)),
        Condition("modified", ">=", "2024-01-01"),
        Condition("modified", "<=", "2024-12-31"),
    ]
    assert all(not isinstance(each, AnyOf) for each in search.where())
    assert [each.name for each in search.where(but="kind")].count("suffix") == 0
    assert [each.name for each in search.where(but="date")].count("modified") == 0


@pytest.mark.parametrize(
    "query",
    [
        "t=file:/etc/passwd",
        "t=url:file:///etc/passwd",
        "t=url:/etc/passwd",
        "t=id:abc",
        f"t=id:{2**63}",
        "&".join(f"t=url:http://example.org/{n}.jpg" for n in range(9)),
        "t=image:../../secret",
        "t=nan*id:1",
        "t=0*id:1",
        "t=1000*id:1",
        "min=much",
        "min=inf",
        "&".join(f"t=id:{n}" for n in range(40)),
    ],
)
def test_what_is_no_query_is_refused(query):
    with pytest.raises(InputError):
        read(query)


def test_unknown_parameters_and_orders_are_ignored():
    assert read("order=sideways&utm_source=mail&token=secret") == Search()


def test_without_a_term_the_others_stay():
    search = read("q=cat&t=id:5&t=id:6")
    assert search.without(Term("id", "5")).url() == "/?q=cat&t=id:6"
    assert search.without(Term("text", "cat")).url() == "/?t=id:5&t=id:6"
