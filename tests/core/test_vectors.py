import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from lookalike.core.errors import EmbeddingError, InputError
from lookalike.core.vectors import (
    check_embedding,
    check_embeddings,
    ids_array,
    pack,
    pack_bfloat16,
    similarity,
    unpack,
    unpack_bfloat16,
)

FINITE = st.floats(-1e6, 1e6, width=32)


@given(arrays(np.float32, (3, 7), elements=FINITE))
def test_packed_vectors_come_back_bit_for_bit(array):
    assert unpack([pack(row) for row in array], 7).tobytes() == array.astype("<f4").tobytes()


def test_packing_is_little_endian_float32():
    assert pack(np.array([1.0, -2.0], np.float32)).hex() == "0000803f000000c0"


def test_a_stored_vector_of_another_length_is_refused():
    with pytest.raises(EmbeddingError, match="has 2 dimensions, not 3"):
        unpack([bytes(12), bytes(8)], 3)


@pytest.mark.parametrize(
    ("embeddings", "message"),
    [
        ([[1.0, 2.0]], "has 2 dimensions, and this collection has 3"),
        ([[1, 2, 3], [1, float("nan"), 3]], "embedding 1 of 2 .* has NaN or infinity"),
        ([[1, float("inf"), 3]], "has NaN or infinity"),
        ([[1, 1e300, 3]], "has NaN or infinity"),
        ([[0, 0, 0]], "all zero"),
        ([[[1, 2, 3]]], "and this collection has"),
        (["abc"], "must be numbers"),
        ([[1, 2, 3], [1, 2]], "must be numbers"),
    ],
)
def test_unusable_embeddings_are_refused(embeddings, message):
    with pytest.raises(EmbeddingError, match=message):
        check_embeddings(embeddings, 3)


def test_checking_copies_nothing_over_the_callers_array():
    array = np.ones((2, 3), np.float64)
    checked = check_embeddings(array, 3)
    checked[:] = 5
    assert (array == 1).all() and checked.dtype == np.float32


def test_one_embedding_has_one_dimension():
    assert check_embedding([1, 2], 2).shape == (2,)
    with pytest.raises(EmbeddingError, match=r"shape \(2,\), not \(1, 2\)"):
        check_embedding([[1, 2]], 2)


@given(arrays(np.float32, (4, 5), elements=st.floats(-100, 100, width=32)))
def test_cosine_agrees_with_its_definition(array):
    query = np.array([1, -2, 3, 0.5, 4], np.float32)
    found_all = similarity(query, array, "cosine")
    for row, found in zip(array.tolist(), found_all, strict=True):
        norm = sum(x * x for x in row) ** 0.5
        if norm == 0:
            assert np.isnan(found)
        else:
            dot = sum(x * y for x, y in zip(row, query.tolist(), strict=True))
            expected = dot / norm / sum(y * y for y in query.tolist()) ** 0.5
            assert found == pytest.approx(expected, abs=1e-12)
            assert -1 <= found <= 1


def test_the_other_metrics_by_hand():
    rows = np.array([[1, 2], [4, 6]], np.float32)
    query = np.array([1, 2], np.float32)
    assert similarity(query, rows, "dot").tolist() == [5, 16]
    assert similarity(query, rows, "euclidean").tolist() == [0, -5]


@given(arrays(np.float32, (3, 5), elements=st.floats(-(2.0**99), 2.0**99, width=32)))
def test_bfloat16_keeps_eight_bits(array):
    back = unpack_bfloat16(pack_bfloat16(array), 5)
    assert back.dtype == np.float32 and len(pack_bfloat16(array)[0]) == 10
    assert np.all(np.abs(back - array) <= np.abs(array) * 2.0**-8 + 1e-38)
    assert np.array_equal(unpack_bfloat16(pack_bfloat16(back), 5), back)


def test_bfloat16_by_hand():
    assert pack_bfloat16(np.array([[1.0, -2.0]], np.float32))[0].hex() == "803f00c0"


def test_ids_become_int64():
    ids = ids_array([-(2**63), 0, 2**63 - 1])
    assert ids.dtype == np.int64
    assert ids.tolist() == [-(2**63), 0, 2**63 - 1]
    assert ids_array(iter([])).shape == (0,)


@pytest.mark.parametrize("large", [2**63, 2**64 - 1])
def test_ids_of_2_to_the_63_and_above_are_refused_in_one_line(large):
    with pytest.raises(InputError, match=f"^id {large} is too large: .* below 2\\^63 .*$"):
        ids_array([1, large])
