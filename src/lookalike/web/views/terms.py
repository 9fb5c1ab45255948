"""The state of the search view as its URL holds it: the query, the filters, the order."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import Literal, Protocol, get_args
from urllib.parse import urlencode

from lookalike import Condition, Image, InputError, Mix, StoredImage, Text

Kind = Literal["text", "id", "image", "url"]
Order = Literal["similarity", "-added", "-date", "date", "name"]

BUILT_IN = {"folder": "folder", "kind": "suffix"}
"""Parameters for filters that every collection has, and the names that conditions use."""

_FILTER = "f."
_TERM = re.compile(r"(?:(?P<weight>[+-]?\d+(?:\.\d+)?)\*)?(?P<kind>[a-z]+):(?P<value>.+)", re.S)
_RANGE = re.compile(r"(?P<least>-?\d[\d.:T-]*)?\.\.(?P<most>-?\d[\d.:T-]*)?")
_MAX_TERMS = 32
_MAX_URLS = 8
_MAX_VALUE = 2000


class Parameters(Protocol):
    """The parameters of a URL."""

    def multi_items(self) -> list[tuple[str, str]]:
        """Return names and values, in order."""


@dataclass(frozen=True, slots=True)
class Term:
    """A term of the query.

    Attributes:
        kind: What the value is: words, the id of a stored image, the hash of an upload or a URL.
        value: The value.
        weight: Less than 0 for what results should be unlike.
    """

    kind: Kind
    value: str
    weight: float = 1.0

    @classmethod
    def parse(cls, text: str) -> Term:
        """Read a term as the URL has it, such as "id:5" or "-0.5*text:red". Raises InputError."""
        found = _TERM.fullmatch(text)
        if not found or found["kind"] not in get_args(Kind) or len(text) > _MAX_VALUE:
            raise InputError(f"t={text[:80]}: write it as id:5, text:red or -0.5*image:HASH")
        kind: Kind = found["kind"]  # type: ignore[assignment]
        if kind == "id" and not _is_id(found["value"]):
            raise InputError(f"t={text[:80]}: an id is a number of at most 64 bits")
        if kind == "image" and not re.fullmatch(r"[0-9a-f]{8,128}", found["value"]):
            raise InputError(f"t={text[:80]}: this is no hash of an image")
        if kind == "url" and not re.match(r"https?://", found["value"], re.I):
            raise InputError(f"t={text[:80]}: a URL begins with http:// or https://")
        weight = float(found["weight"] or 1)
        if not isfinite(weight) or weight == 0 or abs(weight) > 100:
            raise InputError(f"t={text[:80]}: a weight is a number from -100 to 100, not 0")
        return cls(kind, found["value"], weight)

    def __str__(self) -> str:
        weight = "" if self.weight == 1 else f"{self.weight:g}*"
        return f"{weight}{self.kind}:{self.value}"


@dataclass(frozen=True)
class Search:
    """The state of the search view.

    Attributes:
        words: Those in the box.
        terms: The other terms of the query.
        filters: Values of attributes by name; several values of one name are alternatives.
        folders: Folders of files.
        kinds: Suffixes of files.
        since: First day of the file's time, "" for no limit.
        until: Last day.
        least: The least similarity.
        order: What results are ordered by; "" for the usual one.
        collection: The collection that the URL names; "" for the default.
    """

    words: str = ""
    terms: tuple[Term, ...] = ()
    filters: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    folders: tuple[str, ...] = ()
    kinds: tuple[str, ...] = ()
    since: str = ""
    until: str = ""
    least: float | None = None
    order: str = ""
    collection: str = ""

    @classmethod
    def of(cls, parameters: Parameters) -> Search:
        """Read the parameters of a URL; unknown ones are ignored. Raises InputError."""
        items = parameters.multi_items()
        one = {name: value.strip() for name, value in items}
        terms = tuple(Term.parse(value) for name, value in items if name == "t")
        if len(terms) > _MAX_TERMS:
            raise InputError(f"a query has at most {_MAX_TERMS} terms")
        if sum(term.kind == "url" for term in terms) > _MAX_URLS:
            raise InputError(f"a query has at most {_MAX_URLS} URLs")
        filters: dict[str, tuple[str, ...]] = {}
        for name, value in items:
            if name.startswith(_FILTER) and value:
                key = name.removeprefix(_FILTER)
                filters[key] = (*filters.get(key, ()), value)
        return cls(
            words=one.get("q", "")[:_MAX_VALUE],
            terms=terms,
            filters=filters,
            folders=_all(items, "folder"),
            kinds=_all(items, "kind"),
            since=one.get("from", ""),
            until=one.get("to", ""),
            least=_number("min", one.get("min", "")),
            order=one.get("order", "") if one.get("order", "") in get_args(Order) else "",
            collection=one.get("collection", ""),
        )

    @property
    def all_terms(self) -> tuple[Term, ...]:
        """The terms of the query, the words first."""
        return (*((Term("text", self.words),) if self.words else ()), *self.terms)

    @property
    def is_query(self) -> bool:
        """Whether anything is searched for; otherwise the collection is browsed."""
        return bool(self.words or self.terms)

    @property
    def is_filtered(self) -> bool:
        """Whether a filter leaves images out."""
        return bool(self.filters or self.folders or self.kinds or self.since or self.until)

    def without(self, term: Term) -> Search:
        """Return the state without a term of the query."""
        if term == Term("text", self.words):
            return replace(self, words="")
        return replace(self, terms=tuple(each for each in self.terms if each != term))

    def values(self, name: str) -> tuple[str, ...]:
        """Return the values that a filter has; name: of an attribute, or folder or kind."""
        return {"folder": self.folders, "kind": self.kinds}.get(name) or self.filters.get(name, ())

    def having(self, name: str, values: Sequence[str]) -> Search:
        """Return the state with a filter's values replaced."""
        if name == "folder":
            return replace(self, folders=tuple(values))
        if name == "kind":
            return replace(self, kinds=tuple(values))
        others = {key: value for key, value in self.filters.items() if key != name}
        return replace(self, filters={**others, name: tuple(values)} if values else others)

    def unfiltered(self) -> Search:
        """Return the state without filters and the least similarity."""
        return replace(self, filters={}, folders=(), kinds=(), since="", until="", least=None)

    def parameters(self) -> list[tuple[str, str]]:
        """Return the URL's parameters, in a fixed order."""
        named = [("q", self.words), *(("t", str(term)) for term in self.terms)]
        named += [(_FILTER + name, each) for name, v in self.filters.items() for each in v]
        named += [*(("folder", each) for each in self.folders)]
        named += [*(("kind", each) for each in self.kinds)]
        least = "" if self.least is None else f"{self.least:g}"
        named += [("from", self.since), ("to", self.until), ("min", least), ("order", self.order)]
        return [pair for pair in (*named, ("collection", self.collection)) if pair[1]]

    def url(self, path: str = "/", **more: str | int) -> str:
        """Return the URL of a path with this state."""
        query = urlencode(
            [*self.parameters(), *((k, str(v)) for k, v in more.items())], safe=":/,*"
        )
        return f"{path}?{query}" if query else path

    def query(self, upload: Callable[[str], object], at: Callable[[str], object]) -> Mix:
        """Return the query for the library.

        Args:
            upload: Returns an uploaded image by its hash.
            at: Returns the image at a URL.
        """
        return Mix.of((term.weight, _of(term, upload, at)) for term in self.all_terms)

    def where(self, *, but: str = "") -> list[Condition]:
        """Return the conditions of the filters.

        Args:
            but: A filter to leave out, so that its other values can be counted.
        """
        named = {**self.filters, **{BUILT_IN[n]: self.values(n) for n in BUILT_IN}}
        conditions = [
            condition
            for name, values in named.items()
            if values and name != BUILT_IN.get(but, but)
            for condition in _conditions(name, values)
        ]
        if but != "date":
            conditions += [Condition("modified", ">=", self.since)] if self.since else []
            conditions += [Condition("modified", "<=", self.until)] if self.until else []
        return conditions


def _of(
    term: Term, upload: Callable[[str], object], at: Callable[[str], object]
) -> Text | StoredImage | Image:
    match term.kind:
        case "text":
            return Text(term.value)
        case "id":
            return StoredImage(int(term.value))
        case "image":
            return Image(upload(term.value))
        case "url":
            return Image(at(term.value))


def _conditions(name: str, values: Iterable[str]) -> Iterator[Condition]:
    """Yield conditions that all hold: one of the values, or a range."""
    several: list[str | bool] = []
    for value in values:
        found = _RANGE.fullmatch(value)
        if found and (found["least"] or found["most"]):
            if found["least"]:
                yield Condition(name, ">=", found["least"])
            if found["most"]:
                yield Condition(name, "<=", found["most"])
        else:
            several.append(value == "true" if value in ("true", "false") else value)
    if several:
        yield Condition(name, "in", tuple(several))


def _is_id(text: str) -> bool:
    found = re.fullmatch(r"-?[0-9]{1,19}", text)
    return found is not None and -(2**63) <= int(text) < 2**63


def _all(items: Sequence[tuple[str, str]], wanted: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(value for name, value in items if name == wanted and value))


def _number(name: str, text: str) -> float | None:
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not isfinite(value):
        raise InputError(f"{name}={text[:40]}: give a number")
    return value
