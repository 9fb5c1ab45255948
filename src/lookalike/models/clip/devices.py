"""Devices that torch can use, and the processor behind each."""

import platform
import sys
from pathlib import Path
from typing import Final

from lookalike.core.errors import ModelError

CPU: Final = "cpu"
_GPU_FILES: Final = ("/dev/nvidiactl", "/dev/dxg", "/dev/kfd")  # NVIDIA, WSL, AMD
_CPU_FIELDS: Final = {
    "vendor_id",
    "cpu family",
    "model",
    "model name",
    "flags",
    "CPU implementer",
    "CPU part",
    "Features",
}


def default_device() -> str:
    """Return the device that sentence-transformers uses by default: "cuda", "mps" or "cpu"."""
    if sys.platform == "linux" and not any(Path(file).exists() for file in _GPU_FILES):
        return CPU  # without importing torch, which takes seconds
    import torch

    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else CPU


def check_device(device: str) -> None:
    """Raise ModelError if torch does not have a device, such as "cuda:1"."""
    import torch

    try:
        torch.zeros(1, device=device).item()
    except (AssertionError, RuntimeError, ValueError) as error:
        raise ModelError(
            f"torch has no device {device!r} on this machine: leave it out, or choose cpu, cuda "
            "or mps"
        ) from error


def processor_name(device: str) -> str:
    """Return a text that identifies this machine's processor: its name and a CPU's features."""
    if device.startswith("cuda"):
        import torch

        return str(torch.cuda.get_device_name(device))
    try:
        first = Path("/proc/cpuinfo").read_text().split("\n\n")[0]
    except OSError:  # not on Linux
        return f"{platform.processor()} {platform.machine()}"
    return "\n".join(line for line in first.splitlines() if line.split("\t")[0] in _CPU_FIELDS)
