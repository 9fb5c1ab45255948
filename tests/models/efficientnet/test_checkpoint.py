"""Reading PyTorch's legacy format, and refusing what is not weights."""

import os
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lookalike.core.errors import ModelError
from lookalike.models.efficientnet.checkpoint import (
    MAGIC_NUMBER,
    PROTOCOL_VERSION,
    read_legacy_checkpoint,
)
from lookalike.models.efficientnet.model import weights_path


class Global:
    """Pickles as the call of a global, whether that global exists here or not."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name

    def pickled(self) -> bytes:
        return f"c{self.module}\n{self.name}\n".encode()


def state_dict(
    *,
    size: int = 6,
    offset: int = 0,
    shape: tuple[int, ...] = (2, 3),
    stride: tuple[int, ...] = (3, 1),
    storage: Global | None = None,
    rebuild: Global | None = None,
) -> bytes:
    """A pickled state dict {"w": tensor} as torch writes it, by hand."""
    storage = storage or Global("torch", "FloatStorage")
    rebuild = rebuild or Global("torch._utils", "_rebuild_tensor_v2")

    def literal(value: Any) -> bytes:
        return pickle.dumps(value, protocol=2)[2:-1]

    return b"".join(
        [
            b"\x80\x02}(",
            literal("w"),
            rebuild.pickled(),
            b"((",
            literal("storage"),
            storage.pickled(),
            literal("7") + literal("cpu") + literal(size) + b"NtQ",
            literal(offset) + literal(shape) + literal(stride) + b"\x89N",
            b"tRu.",
        ]
    )


def write(path: Path, state: bytes, values: np.ndarray, *, keys: tuple[str, ...] = ("7",)) -> Path:
    header = [MAGIC_NUMBER, PROTOCOL_VERSION, {"little_endian": True}]
    path.write_bytes(
        b"".join(pickle.dumps(value, protocol=2) for value in header)
        + state
        + pickle.dumps(list(keys), protocol=2)
        + len(values).to_bytes(8, "little")
        + values.tobytes()
    )
    return path


VALUES = np.arange(6, dtype=np.float32)


def test_reads_a_tensor(tmp_path: Path) -> None:
    weights = read_legacy_checkpoint(write(tmp_path / "w.pth", state_dict(), VALUES))
    np.testing.assert_array_equal(weights["w"], VALUES.reshape(2, 3))
    assert weights["w"].dtype == np.float32


def test_reads_a_strided_view(tmp_path: Path) -> None:
    state = state_dict(offset=1, shape=(2, 2), stride=(1, 3))
    weights = read_legacy_checkpoint(write(tmp_path / "w.pth", state, VALUES))
    np.testing.assert_array_equal(weights["w"], [[1, 4], [2, 5]])


def test_reads_the_embedded_models_weights() -> None:
    weights = read_legacy_checkpoint(weights_path())
    assert len(weights) == 386
    assert weights["_fc.weight"].shape == (1000, 1280)
    assert weights["_conv_stem.weight"].shape == (32, 3, 3, 3)
    assert weights["_bn0.num_batches_tracked"].shape == ()


class Malicious:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.path),)


def test_a_pickle_that_calls_a_function_is_refused_and_not_obeyed(tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    first = tmp_path / "first.pth"
    first.write_bytes(pickle.dumps(Malicious(trap)))
    state = pickle.dumps(OrderedDict(w=Malicious(trap)), protocol=2)
    for path in (first, write(tmp_path / "state.pth", state, VALUES)):
        with pytest.raises(ModelError, match=r"names posix\.mkdir, which is not part of weights"):
            read_legacy_checkpoint(path)
    assert not trap.exists()


@pytest.mark.parametrize(
    "state",
    [
        state_dict(rebuild=Global("builtins", "eval")),
        state_dict(rebuild=Global("torch._utils", "_rebuild_tensor_v2.__globals__")),
        state_dict(storage=Global("builtins", "bytearray")),
        state_dict(storage=Global("collections", "OrderedDict")),
        state_dict(offset=1),
        state_dict(offset=-1),
        state_dict(shape=(2, 4)),
        state_dict(stride=(4, 1)),
        state_dict(stride=(-3, 1)),
        state_dict(stride=(1,)),
        state_dict(shape=(0, 3)),
        state_dict(size=7),
        pickle.dumps({"w": 1}, protocol=2),
        pickle.dumps([], protocol=2),
        b"",
    ],
)
def test_a_state_that_is_not_tensors_is_refused(tmp_path: Path, state: bytes) -> None:
    path = write(tmp_path / "w.pth", state, VALUES)
    with pytest.raises(ModelError, match=r"w\.pth does not contain readable weights"):
        read_legacy_checkpoint(path)


def test_a_file_cut_short_anywhere_is_refused(tmp_path: Path) -> None:
    whole = write(tmp_path / "w.pth", state_dict(), VALUES).read_bytes()
    path = tmp_path / "cut.pth"
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(ModelError, match=r"cut\.pth does not contain readable weights"):
            read_legacy_checkpoint(path)


def test_other_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"cannot read the weights .*none\.pth: No such file"):
        read_legacy_checkpoint(tmp_path / "none.pth")
    other = tmp_path / "other.pth"
    other.write_bytes(b"".join(pickle.dumps(value) for value in (1, 2, {}, {}, [])))
    with pytest.raises(ModelError, match="legacy format"):
        read_legacy_checkpoint(other)
