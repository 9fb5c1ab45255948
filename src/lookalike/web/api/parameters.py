"""Parameters that several routes have."""

from typing import Annotated

from fastapi import Path, Query, Request
from fastapi.routing import APIRoute

from lookalike.web.problems import Problem

CollectionName = Annotated[
    str | None, Query(description="Name of the collection; by default the server's.", max_length=64)
]
RowId = Annotated[int, Path(description="Id of the image.", ge=-(2**63), lt=2**63)]
K = Annotated[int, Query(description="Number of results.", ge=1, le=10_000)]
Offset = Annotated[int, Query(description="Number of results to skip.", ge=0, le=9_999)]
Where = Annotated[
    str | None,
    Query(description="Conditions as text, such as `price<50 or sale=true`.", max_length=4000),
]
NameInPath = Annotated[str, Path(description="Name of the collection.", max_length=64)]


async def refuse_unknown(request: Request) -> None:
    """Raise Problem 422 for a parameter in the URL that the route does not know."""
    given = set(request.query_params)
    if not given:
        return
    route = request.scope["route"]
    assert isinstance(route, APIRoute)
    described = (route.openapi_extra or {}).get("parameters", ())
    known = {field.alias for field in route.dependant.query_params}
    known |= {each["name"] for each in described} | {"token"}
    if unknown := given - known:
        some = ", ".join(sorted(known - {"token"})) or "none"
        raise Problem(422, f"there is no parameter {min(unknown)[:80]!r}; there is {some}")
