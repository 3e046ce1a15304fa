"""Heads and population, learned from judgments."""
