"""my_dot_product, my_vec_norm and DISTANCE: exact to float32, and as in MySQL AI."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

import lookalike
from lookalike import DatabaseError
from lookalike.core.vectors import pack
from tests.places import REPO

DATA = REPO / "examples" / "data"
# DOT as Oracle's notebook prints it, on MySQL AI.
PUBLISHED = {
    ("dog1", "dog1"): 1.0000005960464478,
    ("dog1", "dog2"): 0.9645994305610656,
    ("dog1", "cat"): 0.7443138360977173,
    ("dog1", "street"): 0.449489563703537,
}
# STRING_TO_VECTOR and VECTOR columns refuse nothing of this but NaN and infinity.
NUMBERS = st.floats(width=32, allow_nan=False, allow_infinity=False)


@pytest.fixture
def functions(db):
    assert db.install_functions()[:3] == ["my_dot_product", "my_vec_norm", "DISTANCE"]
    return db


def ask(db, expression, *params):
    return db.rows(f"SELECT {expression}", params)[1][0][0]


@given(st.data())
@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_values_agree_with_float64_arithmetic(functions, data):
    dim = data.draw(st.integers(1, 40))
    v, w = (data.draw(arrays(np.float32, dim, elements=NUMBERS)) for _ in range(2))
    a, b = v.astype(np.float64), w.astype(np.float64)
    scale = np.abs(a) @ np.abs(b)
    dot = ask(functions, "my_dot_product(%s, %s)", pack(v), pack(w))
    assert dot == pytest.approx(a @ b, abs=1e-13 * scale + 1e-300)
    assert ask(functions, "DISTANCE(%s, %s, 'DOT')", pack(v), pack(w)) == dot
    norm = ask(functions, "my_vec_norm(%s)", pack(v))
    assert norm == pytest.approx(np.linalg.norm(a), rel=1e-13)
    euclidean = ask(functions, "DISTANCE(%s, %s, 'EUCLIDEAN')", pack(v), pack(w))
    assert euclidean == pytest.approx(np.linalg.norm(a - b), rel=1e-13)
    cosine = ask(functions, "DISTANCE(%s, %s, 'COSINE')", pack(v), pack(w))
    if a.any() and b.any():
        expected = 1 - a @ b / (np.linalg.norm(a) * np.linalg.norm(b))
        assert cosine == pytest.approx(expected, abs=1e-12)
    else:
        assert cosine is None


def test_subnormal_numbers_count(functions):
    v = np.array([1e-40, -3e-45], np.float32)
    norm = ask(functions, "my_vec_norm(%s)", pack(v))
    assert norm == pytest.approx(np.linalg.norm(v.astype(np.float64)), rel=1e-12)


@pytest.mark.parametrize("dim", [1, 3, 512, 1280, 16383])
def test_any_length(functions, dim):
    v, w = np.random.default_rng(1).standard_normal((2, dim)).astype(np.float32)
    dot = ask(functions, "my_dot_product(%s, %s)", pack(v), pack(w))
    assert dot == pytest.approx(v.astype(float) @ w.astype(float), abs=1e-9)


def test_the_notebooks_values(functions):
    embeddings = json.loads((DATA / "notebook_embeddings.json").read_text())["embeddings"]
    for (left, right), published in PUBLISHED.items():
        v, w = (json.dumps(embeddings[name]) for name in (left, right))
        found = ask(functions, "DISTANCE(STRING_TO_VECTOR(%s), STRING_TO_VECTOR(%s), 'DOT')", v, w)
        assert found == pytest.approx(published, abs=1e-5)


@pytest.mark.parametrize("metric", ["dot", "Dot", "cosine", "CoSiNe", "euclidean"])
def test_the_metric_in_any_letter_case(functions, metric):
    v = pack(np.array([3, 4], np.float32))
    expected = {"dot": 25, "cosine": 0, "euclidean": 0}[metric.lower()]
    assert ask(functions, f"distance(%s, %s, '{metric}')", v, v) == pytest.approx(expected)


@pytest.mark.parametrize(
    "expression",
    [
        "my_dot_product(NULL, STRING_TO_VECTOR('[1]'))",
        "my_dot_product(STRING_TO_VECTOR('[1]'), NULL)",
        "my_vec_norm(NULL)",
        "DISTANCE(NULL, STRING_TO_VECTOR('[1]'), 'DOT')",
        "DISTANCE(STRING_TO_VECTOR('[1]'), NULL, 'COSINE')",
        "DISTANCE(STRING_TO_VECTOR('[1]'), STRING_TO_VECTOR('[1]'), NULL)",
    ],
)
def test_null_gives_null(functions, expression):
    assert ask(functions, expression) is None


@pytest.mark.parametrize(
    ("expression", "message"),
    [
        ("DISTANCE(%s, %s, 'L2')", "the metric is COSINE, EUCLIDEAN or DOT, not L2"),
        ("DISTANCE(%s, %s, 'DOT')", "DISTANCE: the vectors differ in length"),
        ("my_dot_product(%s, %s)", "my_dot_product: the vectors differ in length"),
    ],
)
def test_what_cannot_be_compared_is_an_error(functions, expression, message):
    v, w = pack(np.ones(2, np.float32)), pack(np.ones(3, np.float32))
    with pytest.raises(DatabaseError, match=message):
        ask(functions, expression, v, w)


def test_a_stored_distance_is_not_taken_for_the_servers_own(functions, database_url):
    with lookalike.connect(database_url) as again:
        assert again.dialect.name == "mysql"


def test_installing_twice_is_harmless(functions):
    functions.install_functions()
    assert ask(functions, "my_vec_norm(STRING_TO_VECTOR('[3,4]'))") == 5
