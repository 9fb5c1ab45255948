"""The documents of stored images: what is read of them, added, changed and removed."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field

from lookalike.web.api.schemas import Document, RowId, Upload, Value, Vector

Ids = Annotated[list[RowId], Field(min_length=1, max_length=100_000)]
Attributes = dict[str, Value]
Links = Annotated[
    dict[str, str], Field(description="URLs of `file` and `thumbnail`, if it has a file.")
]


class FileDocument(BaseModel):
    """What is stored of an image's file."""

    path: str
    size: int = Field(description="In bytes.")
    modified: datetime
    content_hash: str = Field(description="SHA-256 of its bytes, hexadecimal.")


class ImageDocument(BaseModel):
    """A stored image; see `lookalike.Item`."""

    id: int
    image_name: str = Field(description="Empty if it has none.")
    path: str | None = Field(description="null if only its embedding is stored.")
    attributes: dict[str, Any] | None = Field(description="null unless included")
    embedding: list[float] | None = Field(description="null unless included")
    file: FileDocument | None = Field(None, description="What is known of its file.")
    links: Links


class ImageList(BaseModel):
    """A page of stored images."""

    images: list[ImageDocument]
    total: int | None = Field(description="How many there are in all, if it was asked for.")


class UpsertRequest(Document):
    """Embeddings to store, as in `Collection.upsert`; all or none."""

    embeddings: list[Vector] = Field(min_length=1, max_length=10_000)
    names: list[str] | None = Field(
        None, description="Without names, replaced images keep theirs.", max_length=10_000
    )
    ids: list[RowId] | None = Field(
        None,
        description="Create or replace these; without ids, images are inserted.",
        max_length=10_000,
    )
    attributes: list[Attributes] | None = Field(
        None, description="One object an image; null removes an attribute.", max_length=10_000
    )


class UpsertResponse(BaseModel):
    """The ids of the stored embeddings, in the order of the request."""

    ids: list[int]


class IdsRequest(Document):
    """Stored images by id."""

    ids: Ids


class AttributesRequest(Document):
    """Attributes to set on several images; null removes one."""

    ids: Ids
    attributes: Attributes = Field(min_length=1, max_length=100)


class AttributesDocument(Document):
    """Attributes to set; null removes one."""

    attributes: Attributes = Field(min_length=1, max_length=100)


class Changed(BaseModel):
    """How many images were changed."""

    images: int


class Removal(BaseModel):
    """What was removed, and how to put it back."""

    removed: int = Field(description="Number of images.")
    undo: str | None = Field(description="POST /api/v1/undo/{undo} puts them back, for a while.")


class Undone(BaseModel):
    """What was put back."""

    message: str


class PathsRequest(Document):
    """Files and folders on the server to add, as in `Collection.add`."""

    paths: list[str] = Field(
        description="Absolute, and below a folder of `serve --root`.", min_length=1, max_length=100
    )
    exclude: list[str] = Field(default_factory=list, max_length=100)
    hidden: bool = False
    prune: bool = False
    retry: bool = False
    facts: bool = False
    location: bool = False


class AddForm(BaseModel):
    """Images to add."""

    image: list[Upload] = Field(min_length=1)


class AddedImage(BaseModel):
    """What became of one uploaded image."""

    name: str = Field(description="The name that the client gave it.")
    id: int | None = Field(description="The image; null if it could not be added.")
    image_name: str | None
    error: str | None = Field(description="Why it could not be added.")
    links: Links


class AddResponse(BaseModel):
    """What became of the uploaded images, in their order."""

    images: list[AddedImage]
