"""Audits of everybody and of one person, from stored answers and served rankings."""
