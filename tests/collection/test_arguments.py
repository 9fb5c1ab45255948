"""Arguments of a wrong type are told in one line, by their name and value."""

import numpy as np
import pytest

import lookalike
from lookalike import IndexSizes, LookalikeError, Text


@pytest.fixture
def own(db):
    own = db.collection("own", dim=2)
    own.upsert([[1, 0], [0, 1]], names=["right", "up"])
    return own


CALLS = {
    "k is '5'": lambda own: own.search(1, k="5"),
    "k is 2.5": lambda own: own.search(1, k=2.5),
    "k is True": lambda own: own.search(1, k=True),
    "k is None": lambda own: own.search(1, k=None),
    "offset is '1'": lambda own: own.search(1, offset="1"),
    "min_similarity is 'x'": lambda own: own.search(1, min_similarity="x"),
    "min_percentile is 'x'": lambda own: own.search(1, min_percentile="x"),
    "n_probes is '1'": lambda own: own.search(1, n_probes="1"),
    "oversampling is '1'": lambda own: own.search(1, oversampling="1"),
    "order_by is 5": lambda own: own.search(1, order_by=5),
    "include is 'attributes'": lambda own: own.search(1, include="attributes"),
    "queries is 'cat.jpg'": lambda own: own.search_many("cat.jpg"),
    "queries is 5": lambda own: own.search_many(5),
    "the text of a query is 5": lambda own: own.search(Text(5)),
    "ids is 5": lambda own: own.get(5),
    "an id is 'a'": lambda own: own.get(["a"]),
    "an id is 'b'": lambda own: own.records(["b"]),
    "ids is 6": lambda own: own.remove_rows(6),
    "a stored image is None": lambda own: own.remove(None),
    "an id is 'c'": lambda own: own.upsert([[1, 2]], ids=["c"]),
    "a name is 5": lambda own: own.upsert([[1, 2]], names=[5]),
    "the attributes, row 1 is 5": lambda own: own.upsert([[1, 2]], attributes=[5]),
    "a file or folder is 5": lambda own: own.add(5),
    "exclude is '*.png'": lambda own: own.add(".", exclude="*.png"),
    "batch_size is 'x'": lambda own: own.add(".", batch_size="x"),
    "time_limit is 'x'": lambda own: own.add(".", time_limit="x"),
    "min_similarity is 'y'": lambda own: own.duplicates.find(min_similarity="y"),
    "the URL of a database is 5": lambda own: lookalike.connect(5),
    "index_sizes is 5": lambda own: lookalike.connect(index_sizes=5),
    "fewest_rows is '5'": lambda own: IndexSizes("5"),
    "rows_for_cells is 0": lambda own: IndexSizes(rows_for_cells=0),
    "the name of a model is 5": lambda own: lookalike.load_model(5),
}


def test_a_wrong_type_is_told_by_its_name(own):
    for told, call in CALLS.items():
        with pytest.raises(LookalikeError) as error:
            call(own)
        message = str(error.value)
        assert message.startswith(f"{told}; give ") and "\n" not in message
    assert own.count() == 2


@pytest.mark.parametrize(
    ("told", "arguments"),
    [
        ("the name of a collection is 5", (5, {})),
        ("the name of a collection is None", (None, {})),
        ("model is 5", ("other", {"model": 5})),
        ("dim is '5'", ("other", {"dim": "5"})),
    ],
)
def test_a_collection_is_opened_by_its_name(db, told, arguments):
    name, options = arguments
    with pytest.raises(LookalikeError, match=f"^{told}; give "):
        db.collection(name, **options)


def test_numbers_of_numpy_are_numbers(own):
    assert own.search(np.int64(1), k=np.int32(1), min_similarity=np.float32(-1))[0].id == 2
    assert own.get(np.array([2, 1]))[0].image_name == "up"
    assert own.upsert([[2, 1]], ids=np.array([7]), names=np.array(["seven"])) == [7]
