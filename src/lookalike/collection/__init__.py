"""A collection and all its operations."""
