"""The index in SQL: codes, cells, training, checks and repairs."""
