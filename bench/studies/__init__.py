"""Measurements of single properties, one command each."""
