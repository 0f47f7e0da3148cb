"""The dialects of the OpenAI API: chat, completions, responses and the other endpoints."""
