"""Sources: conversations and responses to named columns."""
