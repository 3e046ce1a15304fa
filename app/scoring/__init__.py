"""Texts to numbers: limits, gate, rewards, rankings and their explanations."""
