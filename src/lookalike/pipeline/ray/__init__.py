"""Decode and embed many files on the machines of a Ray cluster."""
