"""Batching around an ONNX graph."""

import numpy as np
import onnx
import pytest
from PIL import Image

from lookalike.core.errors import ModelError
from lookalike.models.base import BatchModel, FloatArray
from lookalike.models.onnx import OnnxModel
from lookalike.models.preprocessing import Preprocessing

COLOURS = {
    "red": [1, 0, 0],
    "lime": [0, 1, 0],
    "blue": [0, 0, 1],
    "black": [0, 0, 0],
    "white": [1, 1, 1],
}


def pooling_graph() -> bytes:
    """A graph whose embedding is the mean of each colour: expected values by hand."""
    types = onnx.TensorProto
    graph = onnx.helper.make_graph(
        [
            onnx.helper.make_node("Cast", ["pixels"], ["floats"], to=types.FLOAT),
            onnx.helper.make_node("Div", ["floats", "white"], ["shares"]),
            onnx.helper.make_node("Transpose", ["shares"], ["planes"], perm=[0, 3, 1, 2]),
            onnx.helper.make_node("GlobalAveragePool", ["planes"], ["pooled"]),
            onnx.helper.make_node("Flatten", ["pooled"], ["colour"]),
        ],
        "colour",
        [onnx.helper.make_tensor_value_info("pixels", types.UINT8, ["n", 4, 4, 3])],
        [onnx.helper.make_tensor_value_info("colour", types.FLOAT, ["n", 3])],
        initializer=[onnx.helper.make_tensor("white", types.FLOAT, [], [255.0])],
    )
    opset = [onnx.helper.make_opsetid("", 17)]
    model = onnx.helper.make_model(graph, opset_imports=opset, ir_version=8)
    return bytes(model.SerializeToString())


def colour_model(mean: FloatArray | None = None, threads: int | None = 2) -> OnnxModel:
    return OnnxModel(
        id="colour",
        graph=pooling_graph(),
        preprocessing=Preprocessing(short_side=4, crop=4),
        output="colour",
        mean=mean,
        threads=threads,
    )


@pytest.mark.parametrize("threads", [1, 2, 3, None])
def test_embeds_in_batches_in_order(threads: int | None) -> None:
    model = colour_model(threads=threads)
    names = [*COLOURS, *reversed(COLOURS)] * model.batch_size
    expected = [COLOURS[name] for name in names]
    images = [Image.new("RGB", (8, 6), name) for name in names]
    np.testing.assert_allclose(model.embed_images(images), expected, atol=1e-6)
    pixels = np.stack([np.full((4, 4, 3), COLOURS[name], np.uint8) * 255 for name in names])
    embeddings = model.embed_batch(pixels)
    np.testing.assert_allclose(embeddings, expected, atol=1e-6)
    assert embeddings.dtype == np.float32


def test_is_a_batch_model_in_float32() -> None:
    model: BatchModel = colour_model()
    assert isinstance(model, BatchModel)
    assert (model.id, model.dim, model.has_text) == ("colour", 3, False)
    assert (model.preprocessing, model.precision) == (Preprocessing(4, 4), "float32")


def test_a_batch_keeps_every_thread_at_work() -> None:
    assert colour_model(threads=5).batch_size == 5 * colour_model(threads=1).batch_size


def test_no_images_give_no_rows() -> None:
    model = colour_model()
    assert model.embed_images([]).shape == (0, 3)
    assert model.embed_batch(np.empty((0, 4, 4, 3), np.uint8)).shape == (0, 3)


def test_subtracts_the_mean_and_modifies_nothing() -> None:
    mean = np.array([0.5, 0.25, 0], np.float32)
    model = colour_model(mean)
    pixels = np.full((1, 4, 4, 3), 255, np.uint8)
    pixels.flags.writeable = False
    np.testing.assert_allclose(model.embed_batch(pixels), [[0.5, 0.75, 1]])
    np.testing.assert_array_equal(mean, [0.5, 0.25, 0])


def test_a_mean_of_another_length_is_refused() -> None:
    with pytest.raises(ModelError, match=r"the mean of colour has shape \(4,\), not \(3,\)"):
        colour_model(np.zeros(4, np.float32))


def test_a_failure_in_a_thread_is_raised() -> None:
    with pytest.raises(Exception, match="Got invalid dimensions"):
        colour_model().embed_batch(np.zeros((5, 7, 4, 3), np.uint8))
