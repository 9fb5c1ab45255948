"""Images: find, download and decode them."""
