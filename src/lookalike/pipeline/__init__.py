"""Turn many files into embeddings, without a database: read, decode and embed in parallel."""
