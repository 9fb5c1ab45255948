"""The results of a search, as a list that notebooks show as pictures."""

from __future__ import annotations

from lookalike.core.types import Match


class Matches(list[Match]):
    """The matches of one query, best first: a list, which a notebook shows as pictures."""

    def _repr_html_(self) -> str:
        from lookalike.pages.notebook import strip_of

        return strip_of(self)
