"""The benchmark's data and its judge: small ones made here, against plain numpy."""

import numpy as np
import pytest
from PIL import Image

from benchmarks import data, ground_truth, real_images, resemblance
from benchmarks.data import DIM, Dataset
from benchmarks.ground_truth import GroundTruth, recall_at_k
from benchmarks.synthetic import CHUNK, Process, Recipe

RECIPE = Recipe()


@pytest.fixture
def dataset(tmp_path):
    rows = Process(32, RECIPE, seed=1).rows(0, 1010) * 3
    return Dataset("small", rows[10:], rows[:10], tmp_path)


@pytest.fixture
def angles(tmp_path):
    """Make a base of unit vectors at angles, in degrees, to the only query."""

    def make(*degrees):
        turned = np.radians(degrees)
        base = np.stack([np.cos(turned), np.sin(turned)], axis=1).astype(np.float32)
        return Dataset("angles", base, np.array([[1, 0]], np.float32), tmp_path)

    return make


def brute_force(dataset, metric, k):
    base, queries = dataset.base.astype(np.float64), dataset.queries.astype(np.float64)
    if metric == "euclidean":
        scores = -np.linalg.norm(queries[:, None] - base[None], axis=2)
    else:
        scores = queries @ base.T
        if metric == "cosine":
            scores /= np.linalg.norm(base, axis=1) * np.linalg.norm(queries, axis=1)[:, None]
    ids = np.argsort(-scores, axis=1)[:, :k]
    return ids, np.take_along_axis(scores, ids, 1)


@pytest.mark.parametrize("metric", ["cosine", "euclidean", "dot"])
@pytest.mark.parametrize("block", [7, 5000])
def test_the_truth_is_that_of_a_full_sort(dataset, metric, block):
    truth = ground_truth.ground_truth(dataset, k=20, metric=metric, block=block)
    ids, scores = brute_force(dataset, metric, 20)
    np.testing.assert_array_equal(truth.ids, ids)
    np.testing.assert_allclose(truth.similarities, scores, rtol=1e-12)
    np.testing.assert_allclose(truth.of(ids), scores, rtol=1e-12)


def test_the_truth_is_kept_and_not_that_of_other_data(dataset, tmp_path):
    first = ground_truth.ground_truth(dataset, k=5)
    (file,) = tmp_path.glob("truth-*.npz")
    stamp = file.stat().st_mtime_ns
    again = ground_truth.ground_truth(dataset, k=5)
    assert file.stat().st_mtime_ns == stamp
    np.testing.assert_array_equal(first.ids, again.ids)
    other = Dataset("small", dataset.base, dataset.queries + 1, tmp_path)
    ground_truth.ground_truth(other, k=5)
    assert len(list(tmp_path.glob("truth-*.npz"))) == 2


def test_the_truth_of_all_rows(dataset):
    few = Dataset("few", dataset.base[:5], dataset.queries, dataset.folder)
    assert sorted(ground_truth.ground_truth(few, k=5).ids[0]) == [0, 1, 2, 3, 4]
    with pytest.raises(ValueError, match="between 1 and the 5 rows, not 6"):
        ground_truth.ground_truth(few, k=6)


def test_recall_counts_what_is_as_near_as_the_kth(angles):
    # cosines 1, .985, .866, .8655, .5
    truth = ground_truth.ground_truth(angles(0, 10, 30, 30.05, 60), k=3)
    assert recall_at_k([[0, 1, 2]], truth, 3) == 1
    assert recall_at_k([[0, 1, 3]], truth, 3) == 1
    assert recall_at_k([[0, 1, 3]], truth, 3, tolerance=1e-6) == pytest.approx(2 / 3)
    assert recall_at_k([[0, 1, 4]], truth, 3) == pytest.approx(2 / 3)
    assert recall_at_k([[2, 1, 0, 4]], truth, 3) == 1
    assert recall_at_k([[2, 1]], truth, 2) == 0.5


def test_recall_of_missing_and_repeated_results(angles):
    truth = ground_truth.ground_truth(angles(0, 10, 30, 60), k=3)
    assert recall_at_k([[0, -1, -1]], truth, 3) == pytest.approx(1 / 3)
    assert recall_at_k([[0, 0, 0]], truth, 3) == pytest.approx(1 / 3)
    assert recall_at_k([[-1, -1, -1]], truth, 3) == 0


def test_the_tolerance_of_a_dot_product_is_relative(tmp_path):
    base = np.array([[1000], [999.5], [900]], np.float32)
    truth = ground_truth.ground_truth(
        Dataset("dot", base, np.ones((1, 1), np.float32), tmp_path), k=1, metric="dot"
    )
    assert recall_at_k([[1]], truth, 1) == 1
    assert recall_at_k([[2]], truth, 1) == 0


@pytest.mark.parametrize(
    ("found", "k", "message"),
    [([[0]], 2, "2 results"), ([[0], [1]], 1, "of 1 queries"), ([[0] * 9], 9, "holds 3")],
)
def test_recall_refuses_what_does_not_fit(angles, found, k, message):
    truth = ground_truth.ground_truth(angles(0, 10, 30, 60), k=3)
    with pytest.raises(ValueError, match=message):
        recall_at_k(found, truth, k)


def test_synthetic_rows_come_from_the_seed_alone():
    one, two = (Process(64, RECIPE, seed=7).rows(3, 500) for _ in range(2))
    np.testing.assert_array_equal(one, two)
    assert one.dtype == np.float32 and one.shape == (500, 64)
    assert not np.array_equal(one, Process(64, RECIPE, seed=7).rows(4, 500))
    assert not np.array_equal(one, Process(64, RECIPE, seed=8).rows(3, 500))


def test_synthetic_vectors_have_clips_mean():
    rows = Process(DIM, RECIPE, seed=7).rows(0, 5000)
    mean = resemblance.unit(rows).mean(axis=0)
    assert np.argmax(np.abs(mean)) == 92
    assert mean[92] == pytest.approx(-0.65, abs=0.03)
    deviation = np.sum((rows - rows.mean(axis=0)) ** 2, axis=1).mean()
    assert deviation == pytest.approx(1, abs=0.15)


def test_fewer_synthetic_rows_are_the_first_of_more(tmp_path):
    data.make_synthetic(2500, chunk=1000, folder=tmp_path)
    more = data.load("synthetic", folder=tmp_path)
    assert more.base.shape == (2500, DIM) and more.queries.shape == (data.N_QUERIES, DIM)
    data.make_synthetic(1000, chunk=1000, folder=tmp_path)
    fewer = data.load("synthetic", folder=tmp_path)
    np.testing.assert_array_equal(fewer.base, more.base[:1000])
    np.testing.assert_array_equal(fewer.queries, more.queries)
    assert CHUNK % 1000 == 0


def test_no_query_is_in_the_base(tmp_path):
    rows = Process(64, RECIPE, seed=7).rows(0, 3000)
    wide = np.hstack([rows] * 10)
    data.keep_real(
        wide, np.arange(3000, dtype=np.int32) // 3, ["a"] * 3000, seconds=1, folder=tmp_path
    )
    real, real512 = (data.load(name, folder=tmp_path) for name in ("real", "real512"))
    assert real.base.shape == (2000, 640) and real512.base.shape == (2000, 512)
    together = np.unique(np.vstack([real.base, real.queries]), axis=0)
    np.testing.assert_array_equal(together, np.unique(wide, axis=0))
    # 64 dimensions' worth of variance fits into 512: every cosine stays
    np.testing.assert_allclose(
        resemblance.unit(real512.queries) @ resemblance.unit(real512.base).T,
        resemblance.unit(real.queries) @ resemblance.unit(real.base).T,
        atol=1e-3,
    )


def test_loading_says_what_is_wrong(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"run `python -m benchmarks\.data`"):
        data.load("real", folder=tmp_path)
    ones = np.ones((3, 2), np.float32)
    data.save("real", ones, ones[:1], folder=tmp_path)
    assert data.load("real", 2, folder=tmp_path).n == 2
    for n in (0, 4, -1):
        with pytest.raises(ValueError, match="real has 3 vectors"):
            data.load("real", n, folder=tmp_path)
    with pytest.raises(ValueError, match="no dataset 'unreal'"):
        data.load("unreal")


def test_views_are_the_picture_and_squares_that_show_something(tmp_path, photos):
    picture = real_images.Picture("photo", "cat", photos / "cat.jpg", crops=5)
    views = real_images.views(picture)
    assert len(views) == 6
    whole = views[0].size
    for square in views[1:]:
        assert square.width == square.height
        assert 0.39 * min(whole) < square.width < 0.81 * min(whole)
    again = real_images.views(picture)
    assert [v.tobytes() for v in views] == [v.tobytes() for v in again]


def test_blank_small_and_broken_pictures(tmp_path):
    Image.new("RGB", (100, 100), "white").save(tmp_path / "blank.png")
    Image.effect_noise((40, 40), 50).save(tmp_path / "icon.png")
    (tmp_path / "broken.png").write_bytes(b"no image")
    counts = {
        file.stem: len(real_images.views(real_images.Picture("g", file.name, file, crops=3)))
        for file in tmp_path.glob("*.png")
    }
    assert counts == {"blank": 1, "icon": 1, "broken": 0}


def test_figures_of_a_dataset_and_their_table(dataset):
    measured = resemblance.measure(dataset, searches=True, n_cells=8)
    figures = measured.figures
    assert figures["recall@10 of the 100 nearest sign codes"] > 0.8
    low, middle, high = figures["similarity of neighbour 1, raw, p10 p50 p90"]
    assert 0 < low < middle < high <= 1
    text = resemblance.table([measured, resemblance.Resemblance("other", 5, {"x": 0.5})])
    assert text.startswith("| | small, 1,000 | other, 5 |\n|---|---:|---:|\n")
    assert "| x |  | 0.5 |" in text


def test_truth_needs_no_more_than_ids(dataset):
    truth = GroundTruth(dataset, "cosine", np.zeros((10, 1), int), np.ones((10, 1)))
    assert np.isneginf(truth.of(np.full((10, 3), -1))).all()
