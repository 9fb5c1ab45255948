"""The documents of the API; their names are those of the Python API."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat

Scalar = str | bool | int | FiniteFloat
Value = Scalar | list[Scalar] | None
RowId = Annotated[int, Field(description="The id of a stored image.", ge=-(2**63), lt=2**63)]
Vector = Annotated[
    list[FiniteFloat],
    Field(description="An embedding, of the collection's dim.", min_length=1, max_length=16383),
]
Upload = Annotated[str, Field(json_schema_extra={"format": "binary"})]
Url = Annotated[
    str, Field(description="An image at an http(s) URL.", pattern="^https?://", max_length=2000)
]
ConditionText = Annotated[str, Field(max_length=4000)]


class Document(BaseModel):
    """A document that refuses members it does not know."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())


class Term(Document):
    """One of: a stored image by id or name, words, an embedding, a URL, or an uploaded image."""

    id: RowId | None = None
    name: str | None = Field(
        None, description="The name of a stored image.", min_length=1, max_length=1024
    )
    text: str | None = Field(
        None, description="Words, for models that embed text.", min_length=1, max_length=2000
    )
    vector: Vector | None = None
    url: Url | None = None
    image: int | None = Field(
        None, description="An uploaded image, by its place in the form, from 0.", ge=0, lt=2**31
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
    value: Value = None


WhereDocument = Annotated[
    ConditionText
    | Annotated[list[ConditionText | ConditionDocument], Field(max_length=100)]
    | Annotated[dict[str, Value], Field(max_length=100)],
    Field(
        description="As text, such as `price<50 or sale=true`; or conditions that must all hold."
    ),
]


class _Options(Document):
    k: int = Field(10, description="Number of results.", ge=1, le=10_000)
    offset: int = Field(0, description="Number of results to skip.", ge=0, le=9_999)
    min_similarity: FiniteFloat | None = Field(None, description="Omit less similar results.")
    min_percentile: float | None = Field(None, description="The same by percentile.", ge=0, le=100)
    exclude_self: bool | None = Field(
        None, description="Omit stored images of the query; by default if given by id or name."
    )
    include: list[Literal["attributes"]] = Field(
        default_factory=list, description="What else to return of each result.", max_length=1
    )
    order_by: str | None = Field(
        None,
        description="An attribute by which to order the k best; `-` first for descending.",
        min_length=1,
        max_length=256,
    )
    exact: bool = Field(False, description="Compare every embedding.")
    n_probes: int | None = Field(
        None, description="Number of cells of the index to read.", ge=1, lt=2**31
    )
    oversampling: float | None = Field(
        None, description="Compare k * oversampling best estimates exactly.", ge=1, le=1000
    )


class SearchRequest(_Options):
    """One query, or several, with the same options: those of `Collection.search`."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"query": {"id": 1}, "k": 3},
                {"query": {"mix": [{"text": "cat"}, {"id": 2, "weight": -0.5}]}},
                {"queries": [{"id": 1}, {"id": 2}], "where": "width>600"},
            ]
        }
    )

    query: QueryDocument | None = None
    queries: list[QueryDocument] | None = Field(None, min_length=1, max_length=256)
    where: WhereDocument | None = None


class NeighboursParameters(_Options):
    """Options of a search for the neighbours of an image."""

    where: list[str] = Field(
        default_factory=list, description="Conditions that must all hold: text, or JSON."
    )


class SearchParameters(NeighboursParameters):
    """A query and options, each in a parameter of its own; several terms are their mean."""

    text: list[str] = Field(default_factory=list, description="Words to search for.")
    id: list[RowId] = Field(default_factory=list, description="A stored image.")
    name: list[str] = Field(default_factory=list, description="The name of a stored image.")
    url: list[Url] = Field(default_factory=list, description="An image at an http(s) URL.")
    vector: str | None = Field(None, description="An embedding, as a JSON array.")


class SearchForm(SearchParameters):
    """Images and options; all images and terms together are one query, their mean."""

    image: list[Upload] = Field(default_factory=list, description="Images to search for.")
    request: str | None = Field(
        None, description="Instead of all other fields but image: a SearchRequest as JSON."
    )


class MatchDocument(BaseModel):
    """A search result; see `lookalike.Match`."""

    id: int
    image_name: str = Field(description="Empty if it has none.")
    similarity: float = Field(description="By the collection's metric; larger is nearer.")
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
    detail: str = Field(description="One sentence: what is wrong, and what to do.")
    errors: list[dict[str, str]] | None = Field(
        None, description="Each member that is not valid: `where` and `problem`."
    )
