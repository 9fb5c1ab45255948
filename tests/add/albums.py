"""Photographs that tell of themselves, and attributes by file name."""

from pathlib import Path
from typing import Any

from lookalike import Collection
from tests.images.photographs import BERLIN, NIKON, photograph


def make_album(folder: Path) -> Path:
    """Write four photographs; the last tells nothing of its making."""
    photograph(folder / "rome/1.jpg", taken="2024:04:30 23:59:59", place=BERLIN, **NIKON)
    photograph(folder / "rome/2.jpg", (30, 50), "blue", taken="2024:05:01 00:00:00", make="Canon")
    photograph(folder / "oslo/3.jpg", (60, 20), "green", taken="2025:01:01 10:00:00", orientation=6)
    photograph(folder / "4.png", (8, 8), "white")
    return folder


def facts_of(album: Path) -> dict[str, dict[str, Any]]:
    """{file name: its facts} of that album."""

    def about(name: str, **told: object) -> dict[str, Any]:
        file = album / name
        return {"file_size": file.stat().st_size, "folder": file.parent.name, **told}

    nikon = {"taken_at": "2024-04-30T23:59:59", "camera": "NIKON D90", "width": 40, "height": 30}
    canon = {"taken_at": "2024-05-01T00:00:00", "camera": "Canon", "width": 30, "height": 50}
    turned = {"taken_at": "2025-01-01T10:00:00", "width": 20, "height": 60}
    return {
        "1.jpg": about("rome/1.jpg", format="jpeg", **nikon),
        "2.jpg": about("rome/2.jpg", format="jpeg", **canon),
        "3.jpg": about("oslo/3.jpg", format="jpeg", **turned),
        "4.png": about("4.png", format="png", width=8, height=8),
    }


def attributes(collection: Collection) -> dict[str, dict[str, Any]]:
    """{file name: its attributes}"""
    records = collection.records(range(1, 100))
    found = collection.attributes.get(record.id for record in records)
    return {record.path.name: found[record.id] for record in records}
