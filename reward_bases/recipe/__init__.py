"""Recipes: the sources and heads of a basis, in a TOML file."""
