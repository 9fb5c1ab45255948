"""A collection: the facade of everything that it can do."""
