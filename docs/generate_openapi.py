"""Write docs/openapi.json, what a server sends at /openapi.json: `make docs`. A test checks it."""

import json
from pathlib import Path

from lookalike.web.api.openapi import document

FILE = Path(__file__).with_name("openapi.json")


def text() -> str:
    """The text of docs/openapi.json."""
    return json.dumps(document(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
