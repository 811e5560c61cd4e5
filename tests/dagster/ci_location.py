"""A code location whose definitions a test sets."""
