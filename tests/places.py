"""Where things are in the repository."""

from pathlib import Path

REPO = Path(__file__).parents[1]
PHOTOS = REPO / "examples" / "photos"
