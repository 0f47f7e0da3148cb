"""Google's Gemini API, as the demo answers it."""
