"""Benchmarks, run from a checkout: ``keel bench`` or ``python -m bench``; nothing imports them."""
