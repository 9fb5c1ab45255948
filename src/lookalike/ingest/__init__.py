"""Files to rows: scanned, decoded, embedded and written at the same time."""
