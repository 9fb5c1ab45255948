"""search_many with many queries: the index is loaded for the call where that pays."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

import lookalike
from lookalike import IndexSizes
from lookalike.core.types import Plan
from lookalike.core.vectors import pack
from lookalike.index import loading
from lookalike.index.ivf import Index
from lookalike.index.training import n_cells_for
from lookalike.search import in_memory, searcher
from lookalike.search.options import SearchOptions
from tests.index.clusters import clustered, names
from tests.oracle import similarities

N, DIM, MANY = 3000, 24, 150
PAYS = in_memory.pays
SIZES = IndexSizes(rows_for_cells=200)


@pytest.fixture
def index_sizes():
    return SIZES


@pytest.fixture(autouse=True)
def load_early(monkeypatch):
    monkeypatch.setattr(searcher, "pays", lambda index, options: len(options) >= MANY)


@pytest.fixture
def loads(monkeypatch):
    """The codes of each copy that is loaded."""
    loads = []

    def load(store, *, notify):
        found = loading.load(store, notify=notify)
        loads.append(None if found is None else len(found))
        return found

    monkeypatch.setattr(searcher, "load", load)
    return loads


def collection(db, metric="cosine", dim=DIM, name="own"):
    own = db.collection(name, dim=dim, metric=metric)
    vectors, queries = np.split(clustered(N + MANY, dim), [N])
    own.add_embeddings(names(N), vectors)
    return own, vectors, queries


@pytest.fixture(scope="module")
def shared(module_database_url):
    """Such a collection of a metric and a length that tests only read, made once."""
    with lookalike.connect(module_database_url, index_sizes=SIZES) as db:

        @cache
        def made(metric, dim):
            name = f"{metric}_{dim}"
            return name, *collection(db, metric, dim, name)[1:]

        def handed_out(metric="cosine", dim=DIM):
            name, vectors, queries = made(metric, dim)
            return db.collection(name), vectors, queries

        yield handed_out


def is_right(matches, vectors, query, metric="cosine", k=10):
    """Whether nearly all are among the true nearest, with the right similarities, best first."""
    scores = similarities(vectors, query, metric)
    kth = np.sort(scores)[-k]
    found = [match.similarity for match in matches]
    assert found == pytest.approx(scores[[m.id - 1 for m in matches]].tolist(), rel=1e-9)
    order = [(-match.similarity, match.id) for match in matches]
    assert len(found) == k and order == sorted(order)
    return np.sum(np.array(found) >= kth - 1e-3 * abs(kth)) / k


@pytest.mark.parametrize(
    ("metric", "dim"), [("cosine", DIM), ("euclidean", DIM), ("dot", DIM), ("cosine", 67)]
)
def test_many_queries_find_what_numpy_finds(shared, loads, metric, dim):
    own, vectors, queries = shared(metric, dim)
    many = own.search_many(list(queries))
    assert loads == [N]
    shares = [is_right(m, vectors, q, metric) for m, q in zip(many, queries, strict=True)]
    assert np.mean(shares) >= 0.98
    single = [own.search(query) for query in queries]
    pairs = [
        (one, other)
        for a, b in zip(many, single, strict=True)
        for one, other in zip(a, b, strict=True)
    ]
    assert np.mean([one.id == other.id for one, other in pairs]) >= 0.97
    assert {m.image_name for matches in many for m in matches} <= set(names(N))


def test_all_cells_and_all_rows_are_an_exact_search(shared, loads):
    own, _, queries = shared()
    many = own.search_many(list(queries), k=30, n_probes=10_000, oversampling=100)
    assert loads == [N]
    exact = [own.search(query, k=30, exact=True) for query in queries]
    assert [[m.id for m in each] for each in many] == [[m.id for m in each] for each in exact]


def test_ties_go_by_id_and_stored_queries_leave_themselves_out(db, loads):
    own, vectors, _ = collection(db)
    ids = own.add_embeddings(names(3), vectors[[5, 5, 5]])
    many = own.search_many([*range(1, MANY), ids[0]], k=3)
    assert loads == [N + 3]
    assert [match.id for match in many[-1]] == [6, *ids[1:]]
    assert all(row_id not in [m.id for m in many[row_id - 1]] for row_id in range(1, MANY))


def test_rows_of_other_programs_are_found_and_deleted_ones_are_not(db, loads):
    own, vectors, queries = collection(db)
    db.rows("INSERT INTO own VALUES (%s, 'new', %s)", (10**6, pack(queries[0])))
    db.rows("INSERT INTO own VALUES (%s, 'zero', %s)", (10**6 + 1, pack(np.zeros(DIM, np.float32))))
    nearest = int(np.argmax(similarities(vectors, queries[1])))
    db.rows("DELETE FROM own WHERE id = %s", (nearest + 1,))
    many = own.search_many(list(queries))
    assert loads == [N]
    assert (many[0][0].id, many[0][0].image_name) == (10**6, "new")
    assert nearest + 1 not in [match.id for match in many[1]]
    assert len(many[1]) == 10


@pytest.mark.nightly
def test_where_most_codes_have_lost_their_rows_all_results_are_found(db, loads):
    own, vectors, queries = collection(db)
    db.rows("DELETE FROM own WHERE id > 100")
    many = own.search_many(list(queries), k=5)
    assert loads == [N]
    for matches, query in zip(many, queries, strict=True):
        best = np.argsort(-similarities(vectors[:100], query), kind="stable")[:5] + 1
        assert [match.id for match in matches] == best.tolist()


def test_the_generation_at_the_time_of_the_call_is_searched(db, loads):
    own, _, queries = collection(db)
    own.search_many(list(queries))
    ids = own.add_embeddings(names(MANY), queries)
    assert db.collection("own").index.build()
    many = own.search_many(list(queries), k=1)
    assert [matches[0].id for matches in many] == ids and loads == [N, N + MANY]


def test_queries_with_options_of_their_own(shared, loads):
    """As texts have, which look further."""
    own, vectors, queries = shared()
    options = [SearchOptions(k=5 + i % 3, n_probes=10 + i % 2) for i in range(MANY)]
    asked = [searcher.Asked(q, o) for q, o in zip(queries, options, strict=True)]
    asked[7] = asked[7]._replace(options=replace(asked[7].options, exact=True))
    asked[8] = asked[8]._replace(options=replace(asked[8].options, offset=3))
    asked += asked[:2]
    found = searcher.Searcher(own._state.index).search_many(asked)
    assert loads == [N]
    for each, (_, matches, _) in zip(asked, found, strict=True):
        if not each.options.offset:
            assert is_right(matches, vectors, each.embedding, k=each.options.k) >= 0.5


@pytest.mark.parametrize("options", [{"exact": True}, {"offset": 2}])
def test_exact_searches_and_pages_stay_on_the_sql_path(shared, loads, options):
    own, _, queries = shared()
    assert len(own.search_many(list(queries), **options)) == MANY
    assert loads == []


def test_filters_stay_on_the_sql_path(db, loads):
    own, _, queries = collection(db)
    own.upsert(queries[:1], ids=[1], attributes=[{"price": 1}])
    assert len(own.search_many(list(queries), where="price=1")) == MANY
    assert loads == []


def test_in_a_session_the_rows_of_its_connection_are_searched(db, loads):
    own, _, queries = collection(db)
    with db.session():
        assert len(own.search_many(list(queries))) == MANY
    assert loads == [None]


@pytest.mark.parametrize(
    ("rows", "n_probes", "queries", "expected"),
    [
        (3000, 1, 99, False),  # never
        (3000, 1, 100, True),  # one cell of 3,000 codes
        (100_000, 18, 200, False),  # 1,265 cells: a query reads 1,423 codes
        (100_000, 18, 1000, True),
        (1_000_000, 16, 1000, False),  # 4,000 cells: a query reads 4,000 codes
        (1_000_000, 16, 10_000, True),
    ],
)
def test_loading_pays_from_a_number_of_queries_on(rows, n_probes, queries, expected):
    n_cells = n_cells_for(rows)
    plan = Plan(n_probes, 0.5, 50, 0.99, 0.99)
    zeros = np.zeros((n_cells, 8), np.float32)
    index = Index("cosine", 8, 1, 0, 1.0, plan, rows, zeros, zeros[:, 0])
    assert PAYS(index, [SearchOptions()] * queries) == expected
    assert not PAYS(index, [SearchOptions(k=500)] * queries)


def test_without_the_copy_sql_answers(shared, monkeypatch):
    own, vectors, queries = shared()
    lines = []
    monkeypatch.setattr(loading, "refusal", lambda: "faiss is old")
    own._state.notify = lines.append
    many = own.search_many(list(queries))
    shares = [is_right(m, vectors, q) for m, q in zip(many, queries, strict=True)]
    assert np.mean(shares) >= 0.98
    assert lines == ["MySQL searches the index, which takes longer, because faiss is old."]
