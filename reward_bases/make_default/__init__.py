"""Builds ``reward_bases/default``, the basis that ships."""
