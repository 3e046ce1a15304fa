"""Profiles of people as a cache over the store, and the artifacts that they were made under."""
