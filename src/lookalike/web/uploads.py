"""Images of a multipart request, within limits."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from fastapi import Request
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import FormParser, MultiPartException, MultiPartParser

from lookalike.web.media_types import HEAD_BYTES, media_type
from lookalike.web.problems import Problem
from lookalike.web.settings import Limits

_MOST_FIELDS = 200
_FIELD_BYTES = 1_000_000
_MOST_NAME = 200


@dataclass(frozen=True)
class Upload:
    """An uploaded image; nothing of it is trusted.

    Attributes:
        name: What the client calls it, for display.
        content: The bytes of the file.
    """

    name: str
    content: bytes

    @cached_property
    def content_hash(self) -> str:
        """SHA-256 of the bytes, hexadecimal."""
        return hashlib.sha256(self.content).hexdigest()


@dataclass(frozen=True)
class Form:
    """A parsed request.

    Attributes:
        uploads: Its images, in order.
        fields: Its other fields, in order.
    """

    uploads: list[Upload] = field(default_factory=list)
    fields: list[tuple[str, str]] = field(default_factory=list)

    def all(self, name: str) -> list[str]:
        """Return all values of a field."""
        return [value for key, value in self.fields if key == name]

    def get(self, name: str, default: str = "") -> str:
        """Return the last value of a field."""
        values = self.all(name)
        return values[-1] if values else default


async def read_form(
    request: Request,
    limits: Limits,
    *,
    images: Sequence[str] = ("image",),
    takes_any: bool = False,
) -> Form:
    """Read a multipart or URL-encoded request.

    Args:
        request: The request, whose body has not been read.
        limits: Of the request.
        images: Names of the fields that are images.
        takes_any: Refuse no file for what it is: whoever decodes it says so, and the others count.

    Raises:
        Problem: 400: malformed. 413: too much. 415: a file is no image.
    """
    if not request.headers.get("content-type", "").lower().startswith("multipart/form-data"):
        return Form(fields=_texts(await _url_encoded(request, limits)))
    parser = MultiPartParser(
        request.headers,
        request.stream(),
        max_files=limits.images + 1,
        max_fields=_MOST_FIELDS,
        max_part_size=_FIELD_BYTES,
    )
    try:
        form = await parser.parse()
    except (MultiPartException, ValueError) as error:  # ValueError: a charset that is none
        raise _malformed(error, limits) from error
    try:
        return Form(await _uploads(form, limits, images, takes_any), _texts(form))
    finally:
        await form.close()


async def _uploads(
    form: FormData, limits: Limits, images: Sequence[str], takes_any: bool
) -> list[Upload]:
    uploads = []
    for name, value in form.multi_items():
        if not isinstance(value, UploadFile):
            continue
        label = _shown_name(value.filename)
        if not value.size and not label:  # a file input that was left empty
            continue
        if name not in images:
            raise Problem(400, f"there is no field {name[:80]!r} for files: use {images[0]!r}")
        if (value.size or 0) > limits.upload_bytes:
            raise _too_large(label or "the image", limits.upload_bytes)
        content = await value.read()
        if not content and not takes_any:
            raise Problem(400, f"{label or 'an image'} is empty")
        if not takes_any and media_type(content[:HEAD_BYTES]) is None:
            raise Problem(415, f"{label or 'a file'} is not an image that can be read")
        uploads.append(Upload(label, content))
    if len(uploads) > limits.images:
        raise _too_many(limits)
    return uploads


async def _url_encoded(request: Request, limits: Limits) -> FormData:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in ("", "application/x-www-form-urlencoded"):
        raise Problem(415, f"the request is {kind[:80]}; send multipart/form-data")
    parser = FormParser(
        request.headers, request.stream(), max_fields=_MOST_FIELDS, max_part_size=_FIELD_BYTES
    )
    try:
        return await parser.parse()
    except (MultiPartException, ValueError) as error:
        raise _malformed(error, limits) from error


def _texts(form: FormData) -> list[tuple[str, str]]:
    """Return the fields that are text, as UTF-8 can write it: some charsets give other text."""
    return [
        (utf8(name), utf8(value)) for name, value in form.multi_items() if isinstance(value, str)
    ]


def utf8(text: str) -> str:
    """Return text as UTF-8 can write it: half characters become question marks."""
    return text.encode("utf-8", "replace").decode()


def _shown_name(name: str | None) -> str:
    """Return a client's name of a file as one printable line, without its folder."""
    last = (name or "").replace("\\", "/").rsplit("/", 1)[-1]
    return "".join(char for char in last if char.isprintable())[:_MOST_NAME]


def _malformed(error: MultiPartException | ValueError, limits: Limits) -> Problem:
    told = getattr(error, "message", "") or str(error)
    if "Too many files" in told:
        return _too_many(limits)
    if "Too many fields" in told or "exceeded maximum size" in told:
        return Problem(413, f"the form is too large: {told}")
    return Problem(400, f"the form cannot be read: {told}")


def _too_large(what: str, limit: int) -> Problem:
    return Problem(413, f"{what} is too large; the limit is {limit / 1e6:g} MB")


def _too_many(limits: Limits) -> Problem:
    return Problem(413, f"too many images; the limit is {limits.images} in a request")
