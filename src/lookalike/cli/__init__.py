"""The `lookalike` command; `lookalike.__main__` runs it."""
