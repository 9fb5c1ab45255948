"""What is served, to whom, and within which limits."""

from dataclasses import dataclass, field
from pathlib import Path

from platformdirs import user_cache_path, user_data_path

from lookalike import InputError

LOOPBACK = ("127.0.0.1", "localhost", "::1")
COLLECTION = "image_embeddings"


@dataclass(frozen=True)
class Limits:
    """What one client may ask for.

    Attributes:
        upload_bytes: Size of one image.
        request_bytes: Size of one request.
        document_bytes: Size of one that is neither a form nor embeddings to store.
        all_requests_bytes: Size of all requests that are read or answered at the same time.
        images: Number of images in one request, uploads and URLs each.
        pixels: Pixels of one image, and of those that one request decodes, scaled down if possible.
        queries: Number of queries in one request.
        terms: Number of their terms.
        results: Number of results of one request.
        head_seconds: For sending the head of a request.
        body_seconds: For sending the body of a request, and a second more for every 100 kB.
        stall_seconds: For reading any part of an answer.
        stop_seconds: How long requests may go on after the server was told to stop.
        thumbnails_bytes: Size of the thumbnails on disk.
        query_images_bytes: Size of the images of queries on disk.
    """

    upload_bytes: int = 50_000_000
    request_bytes: int = 200_000_000
    document_bytes: int = 16_000_000
    all_requests_bytes: int = 1_000_000_000
    images: int = 32
    pixels: int = 100_000_000
    queries: int = 256
    terms: int = 1024
    results: int = 100_000
    head_seconds: float = 10.0
    body_seconds: float = 30.0
    stall_seconds: float = 60.0
    stop_seconds: float = 30.0
    thumbnails_bytes: int = 1_000_000_000
    query_images_bytes: int = 500_000_000


@dataclass(frozen=True)
class Settings:
    """The settings of a server.

    Attributes:
        collection: The collection of requests that name none.
        model: Model of that collection, if it is new.
        host: Address to bind.
        port: Port to bind; 0 for any that is free.
        allowed_hosts: Further names by which clients may address the server.
        token: What gives full access; None for no check at all.
        read_token: What gives access without changes; None for none.
        roots: Folders from which images may be added.
        uploads: Folder for images that are added over HTTP.
        cache: Folder for thumbnails and images of queries.
        index_memory: The most memory for the index of a collection; None: a quarter of the free.
        allow_private_urls: Whether queries may name URLs of private networks.
        log_format: "text" or "json".
        limits: Limits of requests.
    """

    collection: str = COLLECTION
    model: str | None = None
    host: str = "127.0.0.1"
    port: int = 8000
    allowed_hosts: tuple[str, ...] = ()
    token: str | None = None
    read_token: str | None = None
    roots: tuple[Path, ...] = ()
    uploads: Path = field(default_factory=lambda: user_data_path("lookalike") / "uploads")
    cache: Path = field(default_factory=lambda: user_cache_path("lookalike") / "web")
    index_memory: int | str | None = None
    allow_private_urls: bool = False
    log_format: str = "text"
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if self.token is None and self.host not in LOOPBACK:
            raise InputError(
                f"without a token only this machine may connect, and {self.host} is more than "
                "that: leave out --no-token"
            )
        if self.token is not None and self.token == self.read_token:
            raise InputError("the token and the read-only token are the same: change one")

    @property
    def hosts(self) -> frozenset[str]:
        """The names that a Host header may have, without ports, in lower case."""
        own = () if self.host in ("0.0.0.0", "::") else (self.host,)
        return frozenset(name.lower() for name in (*LOOPBACK, *own, *self.allowed_hosts))
