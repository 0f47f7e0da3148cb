"""Embeddings of the Gemini API: requests and answers to neutral terms and from them."""
