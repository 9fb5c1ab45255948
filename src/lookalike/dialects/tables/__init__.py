"""The SQL of one family of tables a file."""
