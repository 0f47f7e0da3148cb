"""Answers from a cache: equal requests get the same answer, without a provider. README.md explains it."""
