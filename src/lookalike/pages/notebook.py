"""Search results as a piece of HTML for a notebook."""

from collections.abc import Sequence

from lookalike.core.types import Match
from lookalike.pages.contact_sheet import match_tiles
from lookalike.pages.page import render

MAX_SHOWN = 50


def strip_of(matches: Sequence[Match]) -> str:
    """Return HTML with a preview of each match; of many, of the first 50."""
    shown = matches[:MAX_SHOWN]
    tiles = match_tiles(shown, [match.path for match in shown], pixels=160)
    return render("notebook.html", tiles=tiles, more=len(matches) - len(shown))
