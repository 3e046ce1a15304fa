"""The designed heads: their traits, and directions learned from pairs within prompts."""
