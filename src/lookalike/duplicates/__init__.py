"""Duplicates: found, grouped and removed."""
