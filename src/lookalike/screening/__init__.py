"""Screening images against a blocklist, and its threshold."""
