"""Queries to ranked rows."""
