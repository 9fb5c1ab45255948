"""Install MySQL: Debian's packages, Docker's image or Homebrew."""
