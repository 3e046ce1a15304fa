"""``keel bench``: every method on the same worlds."""
