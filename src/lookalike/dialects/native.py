"""SQL of the native functions: loadable functions in C, which an administrator may install.

Their names are their own. A loadable function is found before any stored function, in all databases
of the server: one called DISTANCE would hide the stored DISTANCE, and lookalike would take the
server for one that ranks by itself.
"""

from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import NamedTuple

from lookalike.dialects.statement import Statement


class NativeFunction(NamedTuple):
    """A native function.

    Attributes:
        name: Its name, on the whole server.
        returns: The type of its result, for CREATE FUNCTION.
        probe: An expression that is 1 where the function is installed and computes what it should.
    """

    name: str
    returns: str
    probe: str


_V = "STRING_TO_VECTOR('[3,4]')"
_DISTANCES = ("lookalike_native_distance", "lookalike_native_distance_double")

NATIVE_FUNCTIONS = (
    *(NativeFunction(name, "REAL", f"{name}({_V}, {_V}, 'DOT') = 25") for name in _DISTANCES),
    NativeFunction(
        "lookalike_native_estimate",
        "INTEGER",
        "lookalike_native_estimate(x'0F', x'FFF0') = 20",
    ),
    NativeFunction(
        "lookalike_native_rotate",
        "STRING",
        f"LENGTH(lookalike_native_rotate({_V}, x'00000000')) = 128",
    ),
    NativeFunction(
        "lookalike_native_subtract",
        "STRING",
        f"lookalike_native_subtract({_V}, {_V}, 1) = x'0000000000000000'",
    ),
    NativeFunction(
        "lookalike_native_planes",
        "STRING",
        f"lookalike_native_planes({_V}, 4) = x'C040C0C0'",
    ),
    NativeFunction(
        "lookalike_native_step",
        "REAL",
        f"ABS(lookalike_native_step({_V}, 4) * 7.5 - 4) < 1e-9",
    ),
)


def native_c() -> str:
    """Return the C source of the native functions."""
    return files("lookalike.dialects").joinpath("sql", "native.c").read_text(encoding="utf-8")


def have_native(functions: Sequence[NativeFunction]) -> Statement:
    """Select 1 if all of these are installed; an error if one is missing."""
    return Statement(f"SELECT {' AND '.join(each.probe for each in functions)}")


def installed_native() -> Statement:
    """Select name and library of the installed ones; it needs SELECT on mysql.func."""
    names = ", ".join("%s" for _ in NATIVE_FUNCTIONS)
    return Statement(
        f"SELECT name, dl FROM mysql.func WHERE name IN ({names})",
        tuple(each.name for each in NATIVE_FUNCTIONS),
    )


def without_binary_log() -> Statement:
    """Keep the session's statements from replicas, which may lack the library."""
    return Statement("SET sql_log_bin = 0")


def drop_native() -> list[Statement]:
    """Drop the native functions that there are."""
    return [Statement(f"DROP FUNCTION IF EXISTS {each.name}") for each in NATIVE_FUNCTIONS]


def create_native(libraries: Mapping[str, str]) -> list[Statement]:
    """Create native functions, each from a file in the server's plugin folder, by its name."""
    return [
        Statement(f"CREATE FUNCTION {each.name} RETURNS {each.returns} SONAME '{library}'")
        for each in NATIVE_FUNCTIONS
        if (library := libraries.get(each.name))
    ]
