"""Text to φ: encoder, surface features, heads, the question bank and the artifact that holds them."""
