"""Embeddings of files to rows: scan, write, prune."""
