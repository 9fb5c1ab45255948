"""The documents of the API; their names are those of the Python API."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

Scalar = str | bool | int | FiniteFloat


class Document(BaseModel):
    """A document that refuses members it does not know."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class Term(Document):
    """One of: a stored image by id or name, words, an embedding, a URL, or an uploaded image."""

    id: int | None = Field(None, description="A stored image.", ge=0, lt=2**63)
    name: str | None = Field(None, description="The name of a stored image.", min_length=1)
    text: str | None = Field(None, description="Words, for models that embed text.", min_length=1)
    vector: list[FiniteFloat] | None = Field(
        None, description="An embedding, of the collection's dim.", min_length=1, max_length=16383
    )
    url: str | None = Field(None, description="An image at an http(s) URL.", pattern="^https?://")
    image: int | None = Field(
        None, description="An uploaded image, by its place in the request, from 0.", ge=0
    )


class WeightedTerm(Term):
    """A term of a mix."""

    weight: FiniteFloat = Field(1.0, description="Negative for `less like this`.")


class QueryDocument(Term):
    """What to search for: a term, or a mix of weighted terms."""

    mix: list[WeightedTerm] | None = Field(None, min_length=1, max_length=64)


class ConditionDocument(Document):
    """One condition, for values that are awkward to quote in text."""

    name: str
    operator: Literal["=", "!=", "<", "<=", ">", ">=", "in", "not in", ":", "~", "!~"] = "="
    value: Scalar | list[Scalar] | None = None


WhereDocument = Annotated[
    str | list[str | ConditionDocument] | dict[str, Scalar | list[Scalar] | None],
    Field(
        description="As text, such as `price<50 or sale=true`; or conditions that must all hold."
    ),
]


class SearchOptions(Document):
    """Options of a search, as in `Collection.search`."""

    k: int = Field(10, description="Number of results.", ge=1, le=10_000)
    offset: int = Field(0, description="Number of results to skip.", ge=0, le=9_999)
    where: WhereDocument | None = None
    min_similarity: FiniteFloat | None = None
    min_percentile: float | None = Field(None, ge=0, le=100)
    exclude_self: bool | None = None
    include: list[Literal["attributes"]] = Field(default_factory=list, max_length=1)
    order_by: str | None = Field(None, min_length=1)
    exact: bool = False
    n_probes: int | None = Field(None, ge=1, lt=2**31)
    oversampling: float | None = Field(None, ge=1, le=1000)


class SearchRequest(SearchOptions):
    """One query, or several, with the same options."""

    query: QueryDocument | None = None
    queries: list[QueryDocument] | None = Field(None, min_length=1)


class MatchDocument(BaseModel):
    """A search result; see `lookalike.Match`."""

    id: int
    image_name: str
    similarity: float
    percentile: float | None
    level: Literal["strong", "weak", "chance"] | None
    path: str | None
    attributes: dict[str, Any] | None = Field(description="null unless included")
    key: Any = Field(None, description="The key of a row in a table of your own.")
    links: dict[str, str] = Field(description="URLs of `file` and `thumbnail`, if it has a file.")


class Answer(BaseModel):
    """The matches of one query, best first."""

    matches: list[MatchDocument]
    is_chance: bool | None = Field(
        description="Whether all matches are no more similar than unrelated images."
    )


class SearchResponse(BaseModel):
    """One answer for each query, in their order."""

    results: list[Answer]


class ProblemDocument(BaseModel):
    """An error (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
