"""Files to rows: scanned, decoded, embedded and written at the same time."""

from lookalike.ingest.add import add_files
from lookalike.ingest.run import TIME_LIMIT_SECONDS, IngestOptions, Progress

__all__ = ["TIME_LIMIT_SECONDS", "IngestOptions", "Progress", "add_files"]
