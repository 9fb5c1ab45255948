"""Parameters that several routes have."""

from typing import Annotated

from fastapi import Path, Query

CollectionName = Annotated[
    str | None, Query(description="Name of the collection; by default the server's.", max_length=64)
]
RowId = Annotated[int, Path(description="Id of the image.", ge=-(2**63), lt=2**63)]
K = Annotated[int, Query(description="Number of results.", ge=1, le=10_000)]
Offset = Annotated[int, Query(description="Number of results to skip.", ge=0, le=9_999)]
Where = Annotated[
    str | None, Query(description="Conditions as text, such as `price<50 or sale=true`.")
]
NameInPath = Annotated[str, Path(description="Name of the collection.", max_length=64)]
