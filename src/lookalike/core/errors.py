"""Every error that lookalike raises on purpose.

LookalikeError
├── InputError          an argument that cannot be used
├── ImageError          an image that cannot be read
├── EmbeddingError      a vector of the wrong length, with NaN or infinity, or all zero
├── ModelError          an unknown model, weights out of reach, text that a model cannot embed
│   └── MissingExtra    an optional dependency that is not installed
├── DatabaseError       the server refused a statement
│   ├── ConnectionFailed    it is down, or refuses this user or password
│   └── UnsupportedServer   it lacks what lookalike needs
└── ServerError         the private MySQL could not be installed, started or stopped

Each message is one line that names the value and the remedy.
"""

from lookalike.core.installed import install_command

_TORCH_FOR_CPU = "for the CPU alone, install torch from its CPU index first: docs/installing.md"


class LookalikeError(Exception):
    """The root of all of lookalike's errors."""


class InputError(LookalikeError, ValueError):
    """An argument that cannot be used."""


class ImageError(LookalikeError):
    """An image that cannot be read."""


class EmbeddingError(LookalikeError, ValueError):
    """A vector of the wrong length, with NaN or infinity, or all zero."""


class ModelError(LookalikeError):
    """An unknown model, weights out of reach, or text that a model cannot embed."""


class MissingExtra(ModelError):
    """An optional dependency that is not installed; the message has the pip command."""

    def __init__(self, extra: str, what_for: str) -> None:
        note = f" ({_TORCH_FOR_CPU})" if extra == "clip" else ""
        super().__init__(f"{what_for} needs an extra: {install_command(extra)}{note}")


class DatabaseError(LookalikeError):
    """The database server refused a statement; code is MySQL's error number, where it has one."""

    def __init__(self, message: str, *, code: int | None = None) -> None:
        super().__init__(message)
        self.code = code


class ConnectionFailed(DatabaseError):
    """The database server is down, or refuses this user or password."""


class UnsupportedServer(DatabaseError):
    """The database server lacks what lookalike needs."""


class ServerError(LookalikeError):
    """The private MySQL could not be installed, started or stopped."""
