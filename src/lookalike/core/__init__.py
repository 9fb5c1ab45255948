"""Shared by every layer: errors, types, paths, vectors, threads."""
