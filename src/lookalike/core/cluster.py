"""Where Ray embeds images, and by how many workers."""

from dataclasses import dataclass

from lookalike.core.arguments import check_int, check_number, check_text, wrong
from lookalike.core.errors import InputError


@dataclass(frozen=True, slots=True)
class RayCluster:
    """The Ray cluster on which `add` decodes and embeds; the extra `ray`.

    Attributes:
        address: HOST:PORT of a running cluster of which this machine is a node, or "auto" for the
            one that runs on this machine; None starts one on this machine alone, on loopback, and
            ends it with the call.
        workers: Least and most processes that hold the model, each with one core; None as the most
            is as many as there is room for. Decoding runs on the other cores.
        gpus_per_worker: GPUs of each of them; 0.5 lets two share one, 0 computes on the CPU.

    Raises:
        InputError: A value is out of range.
    """

    address: str | None = None
    workers: tuple[int, int | None] = (1, None)
    gpus_per_worker: float = 0.0

    def __post_init__(self) -> None:
        if self.address is not None:
            check_text("the address of a Ray cluster", self.address)
            _check_address(self.address)
        if not isinstance(self.workers, tuple | list) or len(self.workers) != 2:
            raise wrong("workers", self.workers, "(least, most)")
        least, most = self.workers
        for number in (least,) if most is None else (least, most):
            check_int("workers", number)
        if least < 1 or (most is not None and most < least):
            raise InputError(f"workers are {least} to {most}; give 1 or more, and no fewer as most")
        check_number("gpus_per_worker", self.gpus_per_worker)
        gpus = self.gpus_per_worker
        if not (0 <= gpus <= 1 or gpus == int(gpus) > 0):
            raise InputError(f"gpus_per_worker is {gpus:g}; give 0 to 1, or a whole number")


def _check_address(address: str) -> None:
    if address == "auto":
        return
    if address.startswith("ray://"):
        raise InputError(
            f"{address} is the address of Ray's client; run lookalike on a node of the cluster, "
            "and give HOST:PORT of its head, or auto"
        )
    host, _, port = address.rpartition(":")
    if not host or "/" in host or not port.isascii() or not port.isdigit():
        raise InputError(f"{address!r} is not the address of a Ray cluster: HOST:PORT, or auto")
