"""SQL by family of tables, one file each."""
