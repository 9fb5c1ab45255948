"""The default limits of the pipeline."""

TIME_LIMIT_SECONDS = 60.0
"""For decoding one file."""
