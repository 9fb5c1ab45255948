"""A web service that takes uploads and refuses prohibited images.

    lookalike add ~/prohibited --collection prohibited
    uvicorn --app-dir examples/upload_guard --factory guard:make_app
    curl --data-binary @photo.jpg http://127.0.0.1:8000/uploads

Needs the extra: pip install '.[web]'
"""

import hashlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from fastapi import FastAPI, HTTPException, Request
from fastapi.concurrency import run_in_threadpool

import lookalike

MOST_BYTES = 20_000_000
FOLDER = Path(os.environ.get("UPLOADS", "uploads"))


def make_app(database: str | None = None, folder: Path = FOLDER) -> FastAPI:
    """Return the service; database: a URL, or what LOOKALIKE_DATABASE says."""
    db = lookalike.connect(database)  # threads share it
    blocklist = db.collection("prohibited")

    @asynccontextmanager
    async def running(_: FastAPI) -> AsyncIterator[None]:
        yield
        db.close()

    app = FastAPI(title="Upload guard", lifespan=running)

    def check(content: bytes) -> str:
        """Store an image that nothing prohibited resembles; return its name."""
        # Bytes are decoded in a process of their own: a hostile file cannot take this one down.
        (screening,) = blocklist.screen([content], k=1)
        if screening.error is not None:
            raise HTTPException(415, f"this image cannot be checked: {screening.error}")
        if not screening.is_clean:
            print(f"refused: like {screening.matches[0].image_name}")  # nothing to the uploader
            raise HTTPException(422, "this image is not allowed here")
        name = hashlib.sha256(content).hexdigest()
        folder.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
        return name

    @app.post("/uploads", status_code=201)
    async def upload(request: Request) -> dict[str, str]:
        content = b""
        async for part in request.stream():
            content += part
            if len(content) > MOST_BYTES:
                raise HTTPException(413, f"at most {MOST_BYTES:,} bytes")
        return {"name": await run_in_threadpool(check, content)}

    return app
