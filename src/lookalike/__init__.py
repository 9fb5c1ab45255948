"""Image similarity search inside MySQL."""

from functools import cache

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


def __getattr__(name: str) -> object:
    # The names are in __init__.pyi. They load lazily: processes that decode images need few
    # modules, and the command line must handle Ctrl-C before slow imports begin.
    if name == "__version__":
        return _version()
    find, _, names = _public()
    if name == "__all__":
        return names
    if name.startswith("__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return find(name)


def __dir__() -> list[str]:
    return _public()[1]()


@cache
def _public() -> "tuple[Callable[[str], object], Callable[[], list[str]], list[str]]":
    import lazy_loader

    return lazy_loader.attach_stub(__name__, __file__)


def _version() -> str:
    from importlib import metadata

    try:
        return metadata.version("lookalike")
    except metadata.PackageNotFoundError:  # a source tree on the path
        return "unknown"
