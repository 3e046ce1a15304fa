"""Features of judged items, computed once and kept on disk."""
