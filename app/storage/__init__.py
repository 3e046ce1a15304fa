"""Storage: the store's protocol, its SQLite implementation, keys and backup."""
