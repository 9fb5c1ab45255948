"""CLIP models of sentence-transformers, on PyTorch."""
