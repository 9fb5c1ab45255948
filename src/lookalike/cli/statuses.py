"""Exit statuses that commands share."""

DONE_WITH_FAILURES = 1
"""Done, but some files failed."""

NOT_DONE = 2
"""The command did nothing, or could not finish."""

INTERRUPTED = 130
"""Ended by Ctrl-C; the status that shells use for it."""
