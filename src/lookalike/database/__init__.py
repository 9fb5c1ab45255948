"""SQL to the server: connections, retries, schema, layouts."""
