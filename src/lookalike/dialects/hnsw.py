"""How many candidates a search of a server's own index, an HNSW, keeps: its ef_search."""

from math import ceil, log10

LEAST_CANDIDATES = 100
"""This many find .997 of the 10 nearest of 100,000 rows."""

_SERVED_BY_LEAST = 100_000
_PER_TENFOLD = 2.0
_MOST = 10_000
"""The largest that the server takes."""


def candidates(k: int, n_rows: int, oversampling: float | None = None) -> int:
    """Return how many candidates a search for k of n_rows rows keeps.

    oversampling: keep k times as many instead.
    """
    if oversampling is not None:
        wanted = oversampling * k
    else:
        tenfolds = log10(max(n_rows, _SERVED_BY_LEAST) / _SERVED_BY_LEAST)
        wanted = LEAST_CANDIDATES * _PER_TENFOLD**tenfolds
    return min(max(k, ceil(wanted)), _MOST)
