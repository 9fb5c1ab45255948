"""Search options, and how far they make a search look."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import ceil, isnan
from typing import Literal, NamedTuple, TypedDict

from lookalike.attributes.conditions import Where
from lookalike.core.arguments import check_int, check_many, check_number, check_text
from lookalike.core.errors import InputError
from lookalike.core.types import Metric
from lookalike.core.vectors import FloatArray
from lookalike.index.ivf import Index
from lookalike.index.probes import LEAST_RESCORED

MAX_K = 10_000
_OVERSAMPLING = 3.0
_ROUNDING = 1e-6
_WORDS_PROBES, _WORDS_OVERSAMPLING = 4, 20.0


class SearchKeywords(TypedDict, total=False):
    """The fields of SearchOptions, as keyword arguments."""

    k: int
    offset: int
    where: Where | None
    min_similarity: float | None
    min_percentile: float | None
    exclude_self: bool | None
    include: Sequence[Literal["attributes"]]
    order_by: str | None
    allow_private_urls: bool
    exact: bool
    n_probes: int | None
    oversampling: float | None


@dataclass(frozen=True)
class SearchOptions:
    """Options of a search.

    Attributes:
        k: Number of results.
        offset: Number of results to skip, for the next page.
        where: Conditions on attributes, names and files, as {"brand": "acme",
            "price": ("<", 50)} or "price<50 or sale=true"; only matching rows are searched.
        min_similarity: Omit less similar results; for cosine from -1 to 1.
        min_percentile: The same by `Match.percentile`, from 0 to 100.
        exclude_self: Omit stored images that are part of the query, and files with the bytes of an
            image in it; None omits those given by id or name.
        include: "attributes" to return those of each result.
        order_by: Attribute by which to order the k best, or id, image_name, path, modified, folder
            or suffix; "-taken_at" for the largest first. Those without it come last. None orders by
            similarity.
        allow_private_urls: Allow URLs of this machine and private networks.
        exact: Compare every embedding instead of using the index.
        n_probes: Number of the index's cells to read; by default as measured in training.
        oversampling: Compare the k * oversampling best estimates exactly; by default as measured in
            training, at least 3 times k and 50. MariaDB's own index is searched with so many
            candidates; by default with 100, and more for more than 100,000 rows.
    """

    k: int = 10
    offset: int = 0
    where: Where | None = None
    min_similarity: float | None = None
    min_percentile: float | None = None
    exclude_self: bool | None = None
    include: Sequence[Literal["attributes"]] = ()
    order_by: str | None = None
    allow_private_urls: bool = False
    exact: bool = False
    n_probes: int | None = None
    oversampling: float | None = None

    def check(self, metric: Metric) -> None:
        """Raise InputError for an option that cannot be used."""
        self._check_types()
        if not 1 <= self.k <= MAX_K:
            raise InputError(f"k is {self.k}; ask for 1 to {MAX_K:,} results")
        if not 0 <= self.offset <= MAX_K - self.k:
            raise InputError(f"offset is {self.offset}; with k it can be at most {MAX_K:,}")
        if self.min_percentile is not None and not 0 <= self.min_percentile <= 100:
            raise InputError(
                f"min_percentile is {self.min_percentile}; it is a percentage, from 0 to 100"
            )
        for each in self.include:
            if each != "attributes":
                raise InputError(f"{each!r} cannot be included; give attributes")
        least = self.min_similarity
        if least is not None:
            _check_similarity(least, metric)
        if self.n_probes is not None and self.n_probes < 1:
            raise InputError(f"n_probes is {self.n_probes}; read at least 1 cell")
        if self.oversampling is not None and not 1 <= self.oversampling <= 1000:
            raise InputError(f"oversampling is {self.oversampling}; give 1 to 1000")

    def _check_types(self) -> None:
        check_int("k", self.k)
        check_int("offset", self.offset)
        check_many("include", self.include, "names")
        for name in ("min_similarity", "min_percentile", "oversampling"):
            if (value := getattr(self, name)) is not None:
                check_number(name, value)
        if self.n_probes is not None:
            check_int("n_probes", self.n_probes)
        if self.order_by is not None:
            check_text("order_by", self.order_by)

    @property
    def floor(self) -> float | None:
        """Return min_similarity minus rounding error, by which equal vectors may miss 1."""
        least = self.min_similarity
        return None if least is None else least - _ROUNDING * max(1.0, abs(least))

    def for_words(self, index: Index | None) -> "SearchOptions":
        """Return options that look further, unless set explicitly.

        Texts are far from the images on which the index was measured, and the images nearest to
        them are spread over more cells.
        """
        if index is None or index.plan.is_exact:
            return self
        oversampling = max(_WORDS_OVERSAMPLING, self.rescored(index) / self.k)
        return replace(
            self,
            n_probes=self.n_probes or _WORDS_PROBES * index.plan.n_probes,
            oversampling=self.oversampling or oversampling,
        )

    def is_exact(self, index: Index | None) -> bool:
        """Whether to compare every embedding: on request, or if training found it cheaper."""
        if self.exact or index is None:
            return True
        return index.plan.is_exact and self.n_probes is None and self.oversampling is None

    def rescored(self, index: Index) -> int:
        """Return how many rows to compare exactly; training measured it for 10 results."""
        if self.oversampling is not None:
            return ceil(self.oversampling * self.k)
        measured = index.plan.rescored or LEAST_RESCORED
        return ceil(measured * max(1.0, _OVERSAMPLING * self.k / LEAST_RESCORED))


class Asked(NamedTuple):
    """A query embedding and how to search for it; left_out: ids not to return."""

    embedding: FloatArray
    options: SearchOptions
    left_out: frozenset[int] = frozenset()


def _check_similarity(least: float, metric: Metric) -> None:
    if metric == "cosine" and not -1 <= least <= 1:
        raise InputError(f"min_similarity is {least}; a cosine is from -1 to 1")
    if metric == "euclidean" and not least <= 0:
        raise InputError(
            f"min_similarity is {least}; with euclidean a similarity is the "
            "negative distance, at most 0"
        )
    if isnan(least):
        raise InputError("min_similarity is nan; give a number")
