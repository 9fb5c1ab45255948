"""What every layer uses: errors, types, paths, vectors, threads."""
