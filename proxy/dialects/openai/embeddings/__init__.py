"""Embeddings of the OpenAI API: requests and answers to neutral terms and from them."""
