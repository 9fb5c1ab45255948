"""Rows on every engine: stored, replaced, read and deleted, as a dictionary is."""

import shutil

import numpy as np
import pytest

from lookalike import EmbeddingError, InputError
from lookalike.core.vectors import unpack
from lookalike.dialects import Table
from tests.oracle import nearest, similarities

NAMES = ["plain", "it's", 'a "b"', "back\\slash", "%s %d", "new\nline", "100%", "", " ", "a\t"]


@pytest.mark.capability("rows")
def test_rows_are_those_of_a_dictionary(engine):
    """Whatever is added, replaced and deleted, in any order."""
    own, rows, chance = engine.collection("own", dim=5), {}, np.random.default_rng(11)
    for step in range(40):
        ids = chance.choice(np.arange(1, 60), chance.integers(1, 6), replace=False).tolist()
        numbers = chance.standard_normal((len(ids), 5)).astype(np.float32)
        names = [NAMES[chance.integers(len(NAMES))] for _ in ids]
        match step % 4:
            case 0:
                new = own.upsert(numbers, names=names)
                rows |= dict(zip(new, zip(names, numbers, strict=True), strict=True))
            case 1:
                assert own.upsert(numbers, names=names, ids=ids) == ids
                rows |= dict(zip(ids, zip(names, numbers, strict=True), strict=True))
            case 2:  # without names, rows keep theirs
                known = [row_id for row_id in ids if row_id in rows]
                if known:
                    own.upsert(numbers[: len(known)], ids=known)
                for row_id, vector in zip(known, numbers, strict=False):
                    rows[row_id] = rows[row_id][0], vector
            case 3:
                assert own.remove_rows(ids) == len(rows.keys() & set(ids))
                rows = {row_id: row for row_id, row in rows.items() if row_id not in ids}
    items = own.get(range(1, 200))
    assert {item.id: item.image_name for item in items} == {i: row[0] for i, row in rows.items()}
    assert all(np.array_equal(item.embedding, rows[item.id][1]) for item in items)
    assert own.count() == own.status().rows == len(rows)
    assert own.index.check().is_consistent


def any_numbers(limits, n, dim):
    """Vectors of any bits; of lengths within a server's limits."""
    chance = np.random.default_rng(0)
    bits = chance.integers(0, 2**32, 2 * n * dim, np.uint32)
    if limits is not None:
        least, most = np.log2(limits).astype(int) + 127
        exponents = chance.integers(least + 4, most - 4, bits.size, np.uint32)
        bits = (bits & 0x807FFFFF) | (exponents << 23)
    numbers = bits.view("<f4")
    numbers = numbers[np.isfinite(numbers)][: n * dim].reshape(n, dim)
    numbers[:, :3] = [-0.0, 1e-45, 16777217]
    if limits is None:
        numbers[0, 3] = -3.4028235e38
    return numbers


@pytest.mark.capability("bits")
def test_every_float32_is_read_back_bit_for_bit(engine):
    numbers = any_numbers(engine.dialect.lengths, 300, 12)
    own = engine.collection("own", dim=12)
    ids = own.add_embeddings([f"v{i}" for i in range(300)], numbers)
    packed = engine.dialect.embedding_bytes(Table("own"))
    rows = engine.rows(f"SELECT {packed} FROM own ORDER BY id")[1]
    assert unpack([row[0] for row in rows], 12).tobytes() == numbers.tobytes()
    assert np.array([item.embedding for item in own.get(ids)]).tobytes() == numbers.tobytes()


@pytest.mark.capability("refusals")
def test_bad_embeddings_leave_nothing_behind(engine):
    own = engine.collection("own", dim=3)
    for bad in ([[1, 2]], [[0, 0, 0]], [[1, np.nan, 2]], [[1, np.inf, 2]], [[1e39, 0, 0]]):
        with pytest.raises(EmbeddingError):
            own.add_embeddings(["a"], bad)
    with pytest.raises(EmbeddingError, match="1 names do not fit 2 embeddings"):
        own.add_embeddings(["a"], [[1, 2, 3], [4, 5, 6]])
    assert engine.collections() == [] and not own.exists
    own.add_embeddings(["a"], [[1, 2, 3]])
    with pytest.raises(EmbeddingError):
        own.upsert([[1, 2, 3], [0, 0, 0]], ids=[1, 2])
    with pytest.raises(InputError):
        own.upsert([[3, 2, 1], [3, 2, 1]], ids=[1, 1])
    assert [item.embedding.tolist() for item in own.get([1, 2])] == [[1, 2, 3]]
    most = engine.dialect.max_dim
    engine.collection("large", dim=most).add_embeddings(["a" * 255], np.ones((1, most)))
    with pytest.raises(InputError, match=f"dim is {most + 1}; .* stores .*{most} dim"):
        engine.collection("larger", dim=most + 1).add_embeddings(["a"], np.ones((1, most + 1)))


EXTREMES = [[1e-45] * 6, [3e38] * 6, [-0.0, 0, 0, 0, 1e-40, 0], [-3e38, 3e38, 0, 0, 0, 1]]


@pytest.mark.capability("odd vectors")
@pytest.mark.parametrize("metric", ["cosine", "euclidean", "dot"])
def test_tiny_and_huge_vectors_are_ranked_as_numpy_ranks_them(engine, metric, refused):
    chance, limits = np.random.default_rng(4), engine.dialect.lengths
    sizes = 10.0 ** chance.integers(*((-30, 30) if limits is None else (-13, 16)), (80, 1))
    rows = (chance.standard_normal((80, 6)) * sizes).astype(np.float32)
    own = engine.collection("own", dim=6, metric=metric)
    if limits is None:
        rows[:4] = EXTREMES
    else:
        with refused(engine, "compares lengths from", EmbeddingError, is_part=True):
            own.add_embeddings(["a", "b"], [EXTREMES[0], rows[0]])
        for extreme in EXTREMES[1:]:
            with pytest.raises(EmbeddingError, match="compares lengths from"):
                own.add_embeddings(["a", "b"], [extreme, rows[0]])
    own.add_embeddings([f"v{i}" for i in range(80)], rows)
    queries = [*chance.standard_normal((2, 6)).astype(np.float32), rows[1], rows[2], rows[40]]
    for query in queries:
        best = np.sort(similarities(rows, query, metric))[::-1]
        for options in ({"k": 80}, {"k": 9}, {"k": 9, "exact": True}):
            found = [match.similarity for match in own.search(query, **options)]
            assert found == pytest.approx(best[: options["k"]], rel=1e-5, abs=1e-6)
    if metric == "cosine":  # a direction has no size
        huge, small = (own.search(np.array(EXTREMES[3]) / by, k=80) for by in (1, 3e38))
        assert [match.id for match in huge] == [match.id for match in small]
        assert [match.similarity for match in huge] == pytest.approx([m.similarity for m in small])
    elif engine.dialect.ranks(metric) and limits is not None:
        with pytest.raises(EmbeddingError, match="compares lengths from"):
            own.search(EXTREMES[1])


@pytest.mark.capability("images")
def test_images_are_added_and_added_again(engine, photos, tmp_path, embedded_model):
    folder = tmp_path / "images"
    folder.mkdir()
    for name in ("cat.jpg", "bee.jpg", "rocket.jpg"):
        shutil.copy(photos / name, folder)
    collection = engine.collection("photos", model=embedded_model)
    assert collection.add(folder, facts=True).added == 3
    (folder / "cat.jpg").rename(folder / "tiger.jpg")
    shutil.copy(folder / "tiger.jpg", folder / "copy.jpg")
    (folder / "bee.jpg").unlink()
    (folder / "bad.jpg").write_bytes(b"no image")
    report = collection.add(folder, prune=True)
    assert (report.added, report.moved, report.reused, len(report.failed)) == (0, 1, 1, 1)
    assert report.removed == 1
    names = {item.image_name for item in collection.browse()}
    assert names == {"tiger.jpg", "copy.jpg", "rocket.jpg"}
    found = collection.search(photos / "cat.jpg", k=2)
    assert {match.image_name for match in found} == {"tiger.jpg", "copy.jpg"}
    assert found[0].similarity == pytest.approx(1)
    assert [each.id for each in collection.search("rocket.jpg", where="format=jpeg")]
    assert collection.status().failures == 1


@pytest.mark.capability("images")
def test_deleted_rows_are_gone_with_their_files(engine, photos):
    collection = engine.collection("photos", model="efficientnet-lite2")
    collection.add(photos / "cat.jpg", photos / "rocket.jpg")
    assert collection.remove_rows([1, 99]) == 1
    (left,) = collection.search(2, exclude_self=False)
    assert left.image_name == "rocket.jpg"
    assert engine.rows("SELECT id FROM photos_files")[1] == [(2,)]
    assert collection.add(photos / "cat.jpg").added == 1


def test_the_oracle_ranks(vectors):
    assert nearest(vectors, vectors[6])[0] == 7
