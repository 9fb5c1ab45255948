"""All errors that lookalike raises on purpose.

LookalikeError
├── InputError          an argument that cannot be used
├── ImageError          an image that cannot be read
├── EmbeddingError      a vector of the wrong length, with NaN or infinity, or all zero
├── ModelError          an unknown model, unavailable weights, or text that it cannot embed
│   └── MissingExtra    an optional dependency that is not installed
├── DatabaseError       the server refused a statement
│   ├── ConnectionFailed    the server is down, or refuses this user or password
│   └── UnsupportedServer   the server lacks a feature that lookalike needs
└── ServerError         the private MySQL could not be installed, started or stopped

Each message is one line that names the value and the remedy.
"""

_TORCH_FOR_CPU = "for the CPU alone, install torch from its CPU index first: docs/installing.md"


class LookalikeError(Exception):
    """The base class of all lookalike errors."""


class InputError(LookalikeError, ValueError):
    """An argument that cannot be used."""


class ImageError(LookalikeError):
    """An image that cannot be read."""


class EmbeddingError(LookalikeError, ValueError):
    """A vector of the wrong length, with NaN or infinity, or all zero."""


class ModelError(LookalikeError):
    """An unknown model, unavailable weights, or text that the model cannot embed."""


class MissingExtra(ModelError):
    """An optional dependency that is not installed; the message contains the pip command."""

    def __init__(self, extra: str, what_for: str) -> None:
        from lookalike.core.installed import install_command  # slow to import

        note = f" ({_TORCH_FOR_CPU})" if extra == "clip" else ""
        super().__init__(f"{what_for} needs an extra: {install_command(extra)}{note}")


class DatabaseError(LookalikeError):
    """The database server refused a statement.

    Attributes:
        code: MySQL's error number, if there is one.
    """

    def __init__(self, message: str, *, code: int | None = None) -> None:
        super().__init__(message)
        self.code = code


class ConnectionFailed(DatabaseError):
    """The database server is down, or refuses this user or password."""


class UnsupportedServer(DatabaseError):
    """The database server lacks a feature that lookalike needs."""


class ServerError(LookalikeError):
    """The private MySQL could not be installed, started or stopped."""
