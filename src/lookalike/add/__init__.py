"""Store files' embeddings as rows: scan, write, prune."""
