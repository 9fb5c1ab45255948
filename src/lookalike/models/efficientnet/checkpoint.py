"""Read weights that PyTorch saved in its legacy format (before 1.6), without PyTorch.

The file is five pickles (magic number, protocol version, system information, the object, the
storage keys), then the storages' raw bytes, each after its element count (int64). A pickle can call
any function, so only the four names that a state dict needs are allowed.
"""

import pickle
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import as_strided

from lookalike.core.errors import ModelError

MAGIC_NUMBER = 0x1950A86A20F9469CFC6C
PROTOCOL_VERSION = 1001

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class _Storage:
    """A storage that the pickle refers to; its bytes follow the pickles."""

    key: str
    dtype: np.dtype[Any]
    size: int


@dataclass(frozen=True)
class _Tensor:
    """A strided view of a storage; offset and strides count elements, not bytes."""

    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    def view(self, data: Array) -> Array:
        strides = [step * data.itemsize for step in self.stride]
        return as_strided(data[self.offset :], self.shape, strides, writeable=False)


def _rebuild_tensor(
    storage: _Storage, offset: int, shape: tuple[int, ...], stride: tuple[int, ...], *_: object
) -> _Tensor:
    # as_strided does not check bounds: a view beyond the storage would read other memory.
    last = offset + sum((length - 1) * step for length, step in zip(shape, stride, strict=True))
    if min((offset, *stride)) < 0 or min(shape, default=1) < 1 or last >= storage.size:
        raise pickle.UnpicklingError(f"a tensor of shape {shape} lies outside its storage")
    return _Tensor(storage, offset, tuple(shape), tuple(stride))


_ALLOWED: Mapping[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild_tensor,
    ("torch", "FloatStorage"): np.dtype("<f4"),
    ("torch", "LongStorage"): np.dtype("<i8"),
}


class _RestrictedUnpickler(pickle.Unpickler):
    def find_class(self, module_name: str, global_name: str, /) -> Any:
        try:
            return _ALLOWED[module_name, global_name]
        except KeyError:
            raise pickle.UnpicklingError(
                f"it names {module_name}.{global_name}, which is not part of weights"
            ) from None

    def persistent_load(self, pid: Any) -> _Storage:
        kind, dtype, key, _location, size, _view = pid
        if kind != "storage" or not isinstance(dtype, np.dtype):
            raise pickle.UnpicklingError(f"it refers to {kind!r}, which is not a storage")
        return _Storage(str(key), dtype, int(size))


def _read_storage(file: BinaryIO, storage: _Storage) -> Array:
    size = int.from_bytes(file.read(8), "little", signed=True)
    raw = file.read(storage.size * storage.dtype.itemsize)
    if size != storage.size or len(raw) != storage.size * storage.dtype.itemsize:
        raise pickle.UnpicklingError(f"storage {storage.key} is incomplete")
    return np.frombuffer(raw, dtype=storage.dtype)


def _read(file: BinaryIO) -> dict[str, Array]:
    magic, version, _system, state, keys = (_RestrictedUnpickler(file).load() for _ in range(5))
    if (magic, version) != (MAGIC_NUMBER, PROTOCOL_VERSION):
        raise pickle.UnpicklingError("it is not in PyTorch's legacy format")
    if not all(isinstance(tensor, _Tensor) for tensor in state.values()):
        raise pickle.UnpicklingError("it is not a dictionary of tensors")
    storages = {tensor.storage.key: tensor.storage for tensor in state.values()}
    data = {key: _read_storage(file, storages[key]) for key in keys}
    return {name: tensor.view(data[tensor.storage.key]) for name, tensor in state.items()}


def read_legacy_checkpoint(path: Path) -> dict[str, Array]:
    """Read a state dict that `torch.save` wrote before PyTorch 1.6.

    Returns read-only arrays by parameter name, float32 or int64, in the file's shapes. Raises
    ModelError if the file cannot be read, has another format, or contains anything but tensors.
    """
    try:
        with path.open("rb") as file:
            return _read(file)
    except OSError as error:
        raise ModelError(f"cannot read the weights {path}: {error.strerror}") from error
    except (
        pickle.UnpicklingError,
        AttributeError,
        EOFError,
        IndexError,
        KeyError,
        TypeError,
        ValueError,
    ) as error:
        raise ModelError(f"{path} does not contain readable weights: {error}") from error
