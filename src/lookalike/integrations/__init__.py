"""lookalike in other libraries: a package for each, behind an extra of its own."""
