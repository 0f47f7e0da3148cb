"""Anthropic's Messages API, as the demo answers it."""
