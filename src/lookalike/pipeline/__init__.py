"""Many files to embeddings, without a database: read, decode and embed at the same time."""
