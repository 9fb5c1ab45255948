"""Screen images against a blocklist, and choose its threshold."""
