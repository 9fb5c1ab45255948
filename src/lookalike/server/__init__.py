"""Install, start and stop a private MySQL server for one user."""
