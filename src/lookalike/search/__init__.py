"""Search: from queries to ranked rows."""
