"""What is kept: the store's protocol, SQLite behind it, keys and backup."""
