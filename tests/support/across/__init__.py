"""Recorded answers of all providers, their translation, and what the SDKs read in them."""
