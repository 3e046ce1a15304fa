"""Judgments of people, read from files."""
