"""Image similarity search inside MySQL."""

_SET = ("__getattr__", "__dir__", "__all__")


def __getattr__(name: str) -> object:
    # The names are in __init__.pyi. They load lazily: processes that decode images need few
    # modules, and the command line must handle Ctrl-C before slow imports begin.
    if name == "__version__":
        return _version()
    if name.startswith("__") and name != "__all__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return _attach(name)


def _version() -> str:
    from importlib import metadata

    try:
        return metadata.version("lookalike")
    except metadata.PackageNotFoundError:  # a source tree on the path
        return "unknown"


def __dir__() -> list[str]:
    return sorted(_attach("__all__"))


def _attach(name: str) -> object:
    import lazy_loader

    globals().update(zip(_SET, lazy_loader.attach_stub(__name__, __file__), strict=True))
    return globals()["__all__"] if name == "__all__" else globals()["__getattr__"](name)
