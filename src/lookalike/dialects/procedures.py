"""The SQL of the stored procedures: templates, whose repeated expressions are written out here.

MySQL has no loops over columns, so that a rotation has an expression for each of its 32 columns.
"""

from collections.abc import Callable
from functools import cache
from importlib.resources import files

WIDTH = 32
"""Columns of a rotation's matrices, as in `index.rotation`."""

PLANES = 6
"""Bits of a number of the query. Rounding it once for all cells takes more than Python's 4."""

_FINE_PLANES = 8

_SETTINGS = {
    "spreads": "4e0",
    "oversampling": "3e0",
    "least_rescored": "50",
    "max_k": "10000",
    "max_length": "1125899906842624.0e0",
}
"""Those of Python's searches, which are above this layer; a test compares them."""

_FILES = ("open.sql", "rotate.sql", "shortlist.sql", "where.sql", "search.sql", "refresh.sql")
_MIDDLE = f"{(2**PLANES - 1) / 2}e0"


PROCEDURES = (
    "lookalike_search",
    "lookalike_search_with",
    "lookalike_search_into",
    "lookalike_similar",
    "lookalike_similar_into",
    "lookalike_refresh",
)
"""What users call; names with two underscores are parts of these."""


@cache
def procedures_sql() -> str:
    """Return the SQL of the procedures, as the mysql client reads it."""
    text = "\n".join(map(_read, _FILES)).replace("{{rotation}}", _read("rotation_fragment.sql"))
    for name, value in {**_SETTINGS, **_expressions()}.items():
        text = text.replace("{{" + name + "}}", value)
    return f"DELIMITER //\n\n{text}\nDELIMITER ;\n"


def _read(name: str) -> str:
    return files("lookalike.dialects").joinpath("sql", name).read_text(encoding="utf-8")


def _expressions() -> dict[str, str]:
    variables = [f"@lookalike_p{j}" for j in range(PLANES)]
    return {
        "width": str(WIDTH),
        "unit": "5.282945311356653e269",  # 2^896
        "last_column": str(WIDTH - 1),
        "n_planes": str(PLANES),
        "middle": _MIDDLE,
        "pivoted": _columns(lambda m: f"SUM(IF(j = {m}, x, 0e0)) AS c{m}"),
        "mixed": _columns(lambda m: f"{_mixed(m)} AS t{m}"),
        "turned": _columns(lambda m: f"SUM(a * t{m}) AS y{m}"),
        "numbers": _columns(lambda m: f"y{m} / size"),
        "largest": f"GREATEST({_columns(lambda m: f'ABS(y{m})')})",
        "levels": _columns(lambda m: f"CAST(y{m} / step + {_MIDDLE} AS UNSIGNED) AS u{m}"),
        "planes": ", ".join(map(_plane, range(PLANES))),
        "plane_variables": ", ".join(variables),
        "level_sum": f"({_weighted(lambda j: f'BIT_COUNT({variables[j]})')})",
        "differences": _weighted(lambda j: f"BIT_COUNT(«c»code ^ {variables[j]})"),
        "native_planes": ", ".join(
            f"{name} = SUBSTR(@lookalike_planes, {j} * lookalike__width() + 1, lookalike__width())"
            for j, name in enumerate(variables)
        ),
        "fine": _fine(variables),
    }


def _columns(expression: Callable[[int], str]) -> str:
    return ", ".join(map(expression, range(WIDTH)))


def _mixed(m: int) -> str:
    """Return the sum of the columns with the signs of row m of Sylvester's Hadamard matrix."""
    return "".join(f"{'-' if (m & j).bit_count() % 2 else '+'}c{j}" for j in range(WIDTH))


def _plane(j: int) -> str:
    word = " + ".join(f"((u{m} >> {j} & 1) << {WIDTH - 1 - m})" for m in range(WIDTH))
    digits = f"LPAD(HEX({word}), {WIDTH // 4}, '0')"
    return f"UNHEX(GROUP_CONCAT({digits} ORDER BY n SEPARATOR ''))"


def _weighted(expression: Callable[[int], str]) -> str:
    return " + ".join(f"{2**j} * {expression(j)}" for j in range(PLANES))


def _fine(variables: list[str]) -> str:
    """Return the sum of the products of the levels of a centroid and of the query."""
    return " + ".join(
        f"{2 ** (_FINE_PLANES - 1 - i + j)} * "
        f"BIT_COUNT(SUBSTR(planes, {i} * «w» + 1, «w») & {variables[j]})"
        for i in range(_FINE_PLANES)
        for j in range(PLANES)
    )
