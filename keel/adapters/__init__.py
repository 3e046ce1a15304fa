"""Reward functions for other frameworks, one file each; no framework is imported before it calls."""
