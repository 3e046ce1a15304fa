"""Language models that say which of two responses a person prefers: from local files, or behind a chat endpoint."""
