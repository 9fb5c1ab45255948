"""Image similarity search that lives inside MySQL."""

import lazy_loader

# The names are those of __init__.pyi. Processes that only decode images import a few modules.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
