"""Attributes of images, and the filters that use them."""
