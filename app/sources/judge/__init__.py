"""Kind ``judge``: the criteria of a rubric, asked of a language model behind an OpenAI-compatible server."""
