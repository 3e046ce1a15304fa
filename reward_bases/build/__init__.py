"""Builds the artifact in ``reward_bases/default``: ``make basis DATA=DIR``."""
