"""Sources that need a queue, a thread, the network or a cache on disk."""
