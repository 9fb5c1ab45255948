"""Images: found in folders, fetched from URLs, decoded."""
